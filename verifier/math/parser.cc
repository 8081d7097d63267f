#include "verifier/math/parser.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "verifier/math/expression_parser.h"
#include "verifier/math/names.h"
#include "verifier/math/prepare_tokens.h"
#include "verifier/math/units.h"

namespace ponder::verifier::math {

// Lists, relations, unions, ratios and units: everything above a sum.

const Node* ExpressionParser::List(bool plain) {
  struct Group {
    Nodes items;
  };
  std::vector<Nodes> groups(1);
  std::string connectives;
  bool tight_comma = false;
  for (;;) {
    const Node* item = Relation();
    if (item == nullptr) return nullptr;
    groups.back().push_back(item);
    const char separator = EatSeparator();
    if (separator == 0) break;
    connectives.push_back(separator);
    tight_comma = separator == ',' && !Peek().space_before;
    if (separator == ';') groups.emplace_back();
    if (AtListEnd()) {
      if (separator == 'a' || separator == 'o') return Fail();  // 5, or
      if (groups.back().empty()) groups.pop_back();
      break;
    }
  }
  const std::string kind =
      std::all_of(connectives.begin(), connectives.end(), [](char c) { return c == 'o'; })   ? "or"
      : std::all_of(connectives.begin(), connectives.end(), [](char c) { return c == 'a'; }) ? "and"
                                                                                             : "";
  if (groups.size() == 1) {
    Nodes& items = groups[0];
    if (items.size() == 1 && connectives.empty()) return items[0];
    if (connectives == "a") {
      const Node* sum = Compound(*items[0], *items[1]);
      if (sum != nullptr || failure_ != ParseFailure::kNone) return sum;
    }
    const Node* alternative =
        plain && items.size() == 2 && tight_comma ? DecimalComma(*items[0], *items[1]) : nullptr;
    Node list;
    list.kind = Kind::kList;
    list.children = std::move(items);
    list.name = kind;
    list.alternative = alternative;
    return Keep(std::move(list));
  }
  Nodes items;
  for (Nodes& group : groups) {
    items.push_back(group.size() == 1 ? group[0] : Make(Kind::kList, std::move(group)));
  }
  return Make(Kind::kList, std::move(items));
}

// 3 hours and 20 minutes: one quantity, if the second unit is a smaller one of the same kind.
const Node* ExpressionParser::Compound(const Node& large, const Node& small) {
  if (large.kind != Kind::kQuantity || small.kind != Kind::kQuantity) return nullptr;
  const std::optional<Unit> a = ParseUnit(large.name), b = ParseUnit(small.name);
  if (!a || !b || a->dimension != b->dimension || !(b->factor < a->factor)) return nullptr;
  if (Full()) return OverBudget();
  const Node* rest =
      arena_.Product(small.children[0], arena_.Number(b->factor * a->factor.Inverse()));
  return Make(Kind::kQuantity, {arena_.Sum(large.children[0], rest)}, large.name);
}

// "2,74" as a number, if it can be one.
const Node* ExpressionParser::DecimalComma(const Node& whole, const Node& fraction) {
  if (whole.kind != Kind::kNumber || fraction.kind != Kind::kNumber || !whole.alone ||
      !fraction.alone || fraction.decimals == 3) {
    return nullptr;
  }
  Node node;
  node.decimal = true;
  node.decimals = fraction.decimals;
  node.digits = static_cast<int16_t>(fraction.decimals + 1);
  const Rational part = fraction.number * Rational::PowerOfTen(-fraction.decimals);
  node.number = whole.number.Sign() < 0 ? whole.number - part : whole.number + part;
  return Keep(std::move(node));
}

// ',' ';' 'a' (and) 'o' (or); 0 if there is no separator here.
char ExpressionParser::EatSeparator() {
  char found = 0;
  for (;;) {
    const Token& token = Peek();
    if (token.IsPunct(',') || token.IsPunct(';')) {
      if (found == ',' || found == ';') break;
      found = token.symbol;
    } else if (token.type == TokenType::kText && (token.text == "and" || token.text == "or")) {
      if (found == 'a' || found == 'o') break;
      found = found == ';' ? found : token.text[0];
    } else if (token.IsCommand("and") || token.IsCommand("or")) {
      found = token.text[0];
    } else {
      break;
    }
    Advance();
  }
  return found;
}

bool ExpressionParser::AtListEnd() const {
  const Token& token = Peek();
  return token.type == TokenType::kEnd || IsCloser(token);
}

const Node* ExpressionParser::Relation() {
  const Node* first = SetExpression();
  if (first == nullptr) return nullptr;
  Nodes operands = {first};
  std::string links;
  while (Peek().type == TokenType::kRelation) {
    links.push_back(Peek().symbol);
    Advance();
    const Node* next = SetExpression();
    if (next == nullptr) return nullptr;
    operands.push_back(next);
  }
  if (links.empty()) return first;
  return Make(Kind::kRelation, std::move(operands), links);
}

const Node* ExpressionParser::SetExpression() {
  const Node* left = Ratio();
  while (left != nullptr) {
    const Token& token = Peek();
    Kind kind;
    if (token.IsCommand("cup") ||
        (token.type == TokenType::kWord && token.text == "U" && left->kind >= Kind::kTuple)) {
      kind = Kind::kUnion;
    } else if (token.IsCommand("cap")) {
      kind = Kind::kIntersection;
    } else if (token.IsCommand("setminus")) {
      kind = Kind::kDifference;
    } else {
      break;
    }
    Advance();
    const Node* right = Ratio();
    if (right == nullptr) return nullptr;
    left = Make(kind, {left, right});
  }
  return left;
}

// a : b : c, a time of day, or just a sum with its unit.
const Node* ExpressionParser::Ratio() {
  const size_t start = at_;
  const Node* first = Sum();
  if (first == nullptr) return nullptr;
  if (!Peek().IsPunct(':')) {
    // 8 p.m.
    const bool hour = first->kind == Kind::kNumber && first->alone && first->number.Sign() >= 0 &&
                      first->number <= Rational(12);
    const bool time = hour && Peek().type == TokenType::kText && HalfOfDay(Peek().text);
    return time ? Time({first, Make(Kind::kNumber, {})}) : WithUnit(first, start);
  }
  Nodes parts = {first};
  bool clock = first->kind == Kind::kNumber && first->alone;
  while (Peek().IsPunct(':')) {
    Advance();
    const Token& token = Peek();
    clock = clock && token.type == TokenType::kNumber && token.text.size() == 2 && !token.decimal;
    const Node* part = Sum();
    if (part == nullptr) return nullptr;
    clock = clock && part->kind == Kind::kNumber;
    parts.push_back(part);
  }
  if (clock && parts.size() <= 3) {
    const Node* time = Time(parts);
    if (time != nullptr) return time;
  }
  return Make(Kind::kRatio, std::move(parts));
}

const Node* ExpressionParser::Time(const Nodes& parts) {
  const Rational sixty(60);
  if (!(parts[0]->number <= Rational(24))) return nullptr;
  Rational seconds = parts[0]->number * Rational(3600);
  for (size_t i = 1; i < parts.size(); ++i) {
    if (!(parts[i]->number < sixty)) return nullptr;
    seconds = seconds + parts[i]->number * Rational(i == 1 ? 60 : 1);
  }
  Node time;
  time.kind = Kind::kTime;
  time.children = parts;
  if (Peek().type == TokenType::kText) {
    if (const char half = HalfOfDay(Peek().text)) {
      Advance();
      const bool twelve = Rational(12) <= parts[0]->number;
      if (half == 'p' && !twelve) seconds = seconds + Rational(12 * 3600);
      if (half == 'a' && twelve) seconds = seconds - Rational(12 * 3600);
      time.name = half == 'p' ? "pm" : "am";
    }
  }
  time.number = std::move(seconds);
  return Keep(std::move(time));
}

// The unit, noun or percent word after a sum that ends its item. `start`: the token where the sum
// begins.
const Node* ExpressionParser::WithUnit(const Node* value, size_t start) {
  const bool money = value->kind != Kind::kQuantity && start < tokens_.size() && IsMoney(start);
  if (Peek().type != TokenType::kText || Peek().text == "and" || Peek().text == "or") {
    return money && IsScalar(*value) ? Make(Kind::kQuantity, {value}, "dollar") : value;
  }
  if (!IsScalar(*value)) return Fail();
  std::string unit;
  int words = 0;
  while (!AtListEnd()) {
    const Token& token = Peek();
    if (token.type == TokenType::kText) {
      if (token.text == "and" || token.text == "or") break;
      absl::StrAppend(&unit, unit.empty() ? "" : " ", token.text);
      if (++words > kMaxUnitWords) return Fail();
    } else if (token.type == TokenType::kNumber && absl::EndsWith(unit, "^")) {
      absl::StrAppend(&unit, token.text);
    } else if (token.IsPunct('-') && absl::EndsWith(unit, "^")) {
      absl::StrAppend(&unit, "-");
    } else if (token.IsPunct('^') || token.IsPunct('/') || token.IsPunct('*') ||
               token.IsPunct('.')) {
      absl::StrAppend(&unit, std::string(1, token.symbol));
    } else if (token.IsPunct('{') || token.type == TokenType::kWord) {
      // cm^{2}, 5 m/s
      if (token.type == TokenType::kWord) absl::StrAppend(&unit, token.text);
      if (token.IsPunct('{') && !absl::EndsWith(unit, "^")) return Fail();
    } else {
      break;
    }
    Advance();
    if (Peek().IsPunct('}') && tokens_[at_ - 1].type == TokenType::kNumber && at_ >= 2 &&
        OpenedInUnit())
      Advance();
  }
  const Node* measured = Measured(value, unit);
  if (measured == nullptr || Peek().type != TokenType::kNumber) return measured;
  // 3 hours 20 minutes
  const size_t next = at_;
  const Node* rest = PlainNumber();
  if (rest != nullptr) rest = WithUnit(rest, next);
  if (rest == nullptr) return nullptr;
  const Node* sum = Compound(*measured, *rest);
  return sum != nullptr ? sum : Fail();
}

// Whether the '}' at hand closes a brace of a unit's exponent: "^{2" or "^{-2" stand before it.
bool ExpressionParser::OpenedInUnit() const {
  size_t i = at_ - 1;
  if (i > 0 && tokens_[i - 1].IsPunct('-')) --i;
  return i > 1 && tokens_[i - 1].IsPunct('{') && tokens_[i - 2].IsPunct('^');
}

const Node* ExpressionParser::Measured(const Node* value, absl::string_view unit) {
  // 5 million people: the number is five million.
  for (;;) {
    unit = absl::StripAsciiWhitespace(unit);
    const size_t end = std::min(unit.find_first_of(" .-"), unit.size());
    const std::optional<long> times = MagnitudeNamed(unit.substr(0, end));
    if (!times) break;
    if (Full()) return OverBudget();
    value = arena_.Product(value, arena_.Number(*times));
    unit.remove_prefix(std::min(unit.size(), end + 1));
    if (unit.empty()) return value;
  }
  std::string word;
  for (const char c : unit) {
    if (c != '.') word.push_back(absl::ascii_tolower(c));
  }
  if (word == "percent" || word == "pct" || word == "per cent")
    return Make(Kind::kPercent, {value});
  if (word == "degrees" || word == "degree" || word == "deg") return Make(Kind::kDegree, {value});
  if (word == "rad" || word == "radians" || word == "radian") return value;
  if (!ParseUnit(unit) && !IsNoun(word)) return Fail();
  return Make(Kind::kQuantity, {value}, std::string(unit));
}

// Whether words after a number can name what is counted: they don't argue.
bool ExpressionParser::IsNoun(absl::string_view words) {
  static constexpr absl::string_view kArguing[] = {
      "not",   "is",      "isn",     "are",       "was",     "wrong",
      "if",    "but",     "no",      "when",      "where",   "for",
      "with",  "because", "as",      "since",     "maybe",   "approximately",
      "about", "than",    "then",    "times",     "so",      "to",
      "from",  "see",     "correct", "incorrect", "be",      "which",
      "that",  "it",      "mod",     "base",      "or",      "nor",
      "least", "most",    "neither", "either",    "between", "under",
      "over",  "except"};
  absl::string_view rest = words;
  while (!rest.empty()) {
    size_t end = 0;
    while (end < rest.size() &&
           (absl::ascii_isalpha(rest[end]) || static_cast<signed char>(rest[end]) < 0))
      ++end;
    for (const absl::string_view arguing : kArguing) {
      if (rest.substr(0, end) == arguing) return false;
    }
    rest.remove_prefix(std::min(rest.size(), end + 1));
  }
  return true;
}

namespace {

// What stands around an answer and means nothing: full stops, colons, empty space.
void TrimPunctuation(std::vector<Token>* tokens) {
  const auto meaningless = [](const Token& token) {
    return token.IsPunct('.') || token.IsPunct(',') || token.IsPunct(';') || token.IsPunct(':');
  };
  size_t end = tokens->size() - 1;  // of what is kept; the last one is kEnd
  while (end > 0 && meaningless((*tokens)[end - 1])) --end;
  tokens->erase(tokens->begin() + end, tokens->end() - 1);
  size_t begin = 0;
  while ((*tokens)[begin].IsPunct(':') || (*tokens)[begin].IsPunct(',') ||
         (*tokens)[begin].Is(TokenType::kRelation, '=') ||
         (*tokens)[begin].Is(TokenType::kRelation, '~')) {
    ++begin;
  }
  tokens->erase(tokens->begin(), tokens->begin() + begin);
}

}  // namespace

ParseResult ParseMath(absl::string_view text, Arena* arena) {
  if (text.size() > kMaxAnswerBytes) return {nullptr, ParseFailure::kOverBudget};
  std::optional<std::vector<Token>> tokens = Lex(text);
  if (!tokens) return {nullptr, ParseFailure::kSyntax};
  TrimPunctuation(&*tokens);
  ExpressionParser parser(PrepareTokens(*std::move(tokens)), arena);
  return parser.Run();
}

}  // namespace ponder::verifier::math
