#include "verifier/math/names.h"

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"

namespace ponder::verifier::math {
namespace {

using Names = absl::flat_hash_set<absl::string_view>;

}  // namespace

std::optional<Function> FunctionNamed(absl::string_view name) {
  using F = Function;
  static const auto* map = new absl::flat_hash_map<absl::string_view, Function>{
      {"sin", F::kSin},       {"cos", F::kCos},      {"tan", F::kTan},       {"tg", F::kTan},
      {"cot", F::kCot},       {"ctg", F::kCot},      {"sec", F::kSec},       {"csc", F::kCsc},
      {"cosec", F::kCsc},     {"arcsin", F::kAsin},  {"asin", F::kAsin},     {"arccos", F::kAcos},
      {"acos", F::kAcos},     {"arctan", F::kAtan},  {"atan", F::kAtan},     {"arctg", F::kAtan},
      {"arccot", F::kAcot},   {"acot", F::kAcot},    {"arcsec", F::kAsec},   {"asec", F::kAsec},
      {"arccsc", F::kAcsc},   {"acsc", F::kAcsc},    {"sinh", F::kSinh},     {"cosh", F::kCosh},
      {"tanh", F::kTanh},     {"coth", F::kCoth},    {"sech", F::kSech},     {"csch", F::kCsch},
      {"arcsinh", F::kAsinh}, {"arsinh", F::kAsinh}, {"asinh", F::kAsinh},   {"arccosh", F::kAcosh},
      {"arcosh", F::kAcosh},  {"acosh", F::kAcosh},  {"arctanh", F::kAtanh}, {"artanh", F::kAtanh},
      {"atanh", F::kAtanh},   {"exp", F::kExp},      {"ln", F::kLn},         {"log", F::kLog},
      {"lg", F::kLogBase},    {"abs", F::kAbs},      {"floor", F::kFloor},   {"ceil", F::kCeil},
      {"sgn", F::kSign},      {"sign", F::kSign},    {"min", F::kMin},       {"max", F::kMax}};
  const auto found = map->find(name);
  return found == map->end() ? std::nullopt : std::optional<Function>(found->second);
}

std::optional<Function> InverseOf(Function function) {
  switch (function) {
    case Function::kSin:
      return Function::kAsin;
    case Function::kCos:
      return Function::kAcos;
    case Function::kTan:
      return Function::kAtan;
    case Function::kCot:
      return Function::kAcot;
    case Function::kSec:
      return Function::kAsec;
    case Function::kCsc:
      return Function::kAcsc;
    case Function::kSinh:
      return Function::kAsinh;
    case Function::kCosh:
      return Function::kAcosh;
    case Function::kTanh:
      return Function::kAtanh;
    default:
      return std::nullopt;
  }
}

bool IsGreek(absl::string_view name) {
  static const auto* names = new Names{
      "alpha",   "beta",   "gamma", "delta",   "epsilon", "zeta",    "eta",   "theta", "iota",
      "kappa",   "lambda", "mu",    "nu",      "xi",      "omicron", "rho",   "sigma", "tau",
      "upsilon", "phi",    "chi",   "psi",     "omega",   "Gamma",   "Delta", "Theta", "Lambda",
      "Xi",      "Pi",     "Sigma", "Upsilon", "Phi",     "Psi",     "Omega", "hbar",  "ell"};
  return names->contains(name);
}

bool IsUnevaluatedOperator(absl::string_view name) {
  static const auto* names = new Names{"sum", "prod",   "int",    "iint",   "iiint", "oint",
                                       "lim", "limsup", "liminf", "bigcup", "bigcap"};
  return names->contains(name);
}

bool IsUnevaluatedFunction(absl::string_view name) {
  static const auto* names = new Names{"gcd", "lcm", "det", "arg", "Re", "Im",   "deg",
                                       "dim", "ker", "sup", "inf", "Pr", "rank", "tr"};
  return names->contains(name);
}

bool IsAccent(absl::string_view name) {
  static const auto* names =
      new Names{"overline", "bar",       "vec", "hat",  "widehat", "overrightarrow",
                "tilde",    "widetilde", "dot", "ddot", "overset"};
  return names->contains(name);
}

std::optional<long> MagnitudeNamed(absl::string_view word) {
  static const auto* map = new absl::flat_hash_map<absl::string_view, long>{
      {"hundred", 100},      {"thousand", 1000},        {"million", 1'000'000},
      {"millions", 1000000}, {"billion", 1000'000'000}, {"trillion", 1000'000'000'000}};
  const auto found = map->find(absl::AsciiStrToLower(word));
  return found == map->end() ? std::nullopt : std::optional<long>(found->second);
}

std::optional<long> NumberNamed(absl::string_view words) {
  static const auto* small = new absl::flat_hash_map<absl::string_view, long>{
      {"zero", 0},     {"one", 1},      {"two", 2},        {"three", 3},     {"four", 4},
      {"five", 5},     {"six", 6},      {"seven", 7},      {"eight", 8},     {"nine", 9},
      {"ten", 10},     {"eleven", 11},  {"twelve", 12},    {"thirteen", 13}, {"fourteen", 14},
      {"fifteen", 15}, {"sixteen", 16}, {"seventeen", 17}, {"eighteen", 18}, {"nineteen", 19},
      {"twenty", 20},  {"thirty", 30},  {"forty", 40},     {"fifty", 50},    {"sixty", 60},
      {"seventy", 70}, {"eighty", 80},  {"ninety", 90}};
  long total = 0, below_thousand = 0;
  long room = 1000;                        // what is added now must be less than this
  long magnitude = 1'000'000'000'000'000;  // and what it is times, than this
  bool any = false, pending = false;       // pending: `below_thousand` has a number
  for (const absl::string_view word : absl::StrSplit(words, ' ')) {
    if (word == "and" && any) continue;
    const std::optional<long> times = MagnitudeNamed(word);
    const auto found = small->find(word);
    if (times == 100) {
      if (below_thousand >= 100 || (any && !pending)) return std::nullopt;
      below_thousand = pending ? below_thousand * 100 : 100;
      room = 100;
      pending = true;
    } else if (times.has_value()) {
      if (*times >= magnitude || (any && !pending)) return std::nullopt;
      total += (pending ? below_thousand : 1) * *times;
      magnitude = *times;
      below_thousand = 0;
      room = 1000;
      pending = false;
    } else if (found != small->end() && found->second < room) {
      below_thousand += found->second;
      // After "twenty" only "one" to "nine"; after "nine" nothing but a magnitude.
      room = found->second >= 20 ? 10 : 0;
      pending = true;
    } else {
      return std::nullopt;
    }
    any = true;
  }
  return any ? std::optional<long>(total + below_thousand) : std::nullopt;
}

}  // namespace ponder::verifier::math
