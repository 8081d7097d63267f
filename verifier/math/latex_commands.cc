#include "verifier/math/latex_commands.h"

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"

namespace ponder::verifier::math {
namespace {

using Names = absl::flat_hash_set<absl::string_view>;

}  // namespace

bool IsIgnoredCommand(absl::string_view name) {
  static const auto* names = new Names{"left",         "right",        "mleft",
                                       "mright",       "big",          "Big",
                                       "bigg",         "Bigg",         "bigl",
                                       "bigr",         "Bigl",         "Bigr",
                                       "biggl",        "biggr",        "middle",
                                       "displaystyle", "textstyle",    "scriptstyle",
                                       "limits",       "nolimits",     "quad",
                                       "qquad",        "thinspace",    "thickspace",
                                       "medspace",     "negthinspace", "negthickspace",
                                       "negmedspace",  "enspace",      "hfill",
                                       "rm",           "bf",           "it",
                                       "mathbf",       "boldsymbol",   "bm",
                                       "mathit",       "mathcal",      "mathsf",
                                       "mathfrak",     "mathnormal",   "underline",
                                       "hline",        "variable",     "par",
                                       "centerdot",    "newline",      "nonumber",
                                       "therefore",    "bold",         "pmb"};
  return names->contains(name);
}

bool IsDroppedWithArgument(absl::string_view name) {
  static const auto* names = new Names{"phantom", "hphantom",  "vphantom", "label", "tag",
                                       "color",   "textcolor", "hspace",   "vspace"};
  return names->contains(name);
}

bool IsTextCommand(absl::string_view name) {
  static const auto* names =
      new Names{"text",   "mbox",       "textbf", "textit", "textrm", "textsf",
                "texttt", "textnormal", "hbox",   "mathrm", "emph",   "textup"};
  return names->contains(name);
}

char RelationNamed(absl::string_view name) {
  static const auto* map = new absl::flat_hash_map<absl::string_view, char>{
      {"le", 'l'},    {"leq", 'l'},      {"leqslant", 'l'}, {"leqq", 'l'},        {"ge", 'g'},
      {"geq", 'g'},   {"geqslant", 'g'}, {"geqq", 'g'},     {"lt", '<'},          {"gt", '>'},
      {"ne", '!'},    {"neq", '!'},      {"approx", '~'},   {"thickapprox", '~'}, {"simeq", '~'},
      {"doteq", '~'}, {"in", 'i'}};
  const auto found = map->find(name);
  return found == map->end() ? 0 : found->second;
}

absl::string_view SynonymOf(absl::string_view name) {
  static const auto* map =
      new absl::flat_hash_map<absl::string_view, absl::string_view>{{"dfrac", "frac"},
                                                                    {"tfrac", "frac"},
                                                                    {"cfrac", "frac"},
                                                                    {"dbinom", "binom"},
                                                                    {"tbinom", "binom"},
                                                                    {"lbrace", "{"},
                                                                    {"rbrace", "}"},
                                                                    {"dots", "ldots"},
                                                                    {"cdots", "ldots"},
                                                                    {"dotsc", "ldots"},
                                                                    {"dotsb", "ldots"},
                                                                    {"varnothing", "emptyset"},
                                                                    {"oslash", "emptyset"},
                                                                    {"O", "emptyset"},
                                                                    {"varphi", "phi"},
                                                                    {"varepsilon", "epsilon"},
                                                                    {"vartheta", "theta"},
                                                                    {"degree", "circ"},
                                                                    {"surd", "sqrt"},
                                                                    {"lor", "or"},
                                                                    {"vee", "or"},
                                                                    {"land", "and"},
                                                                    {"wedge", "and"},
                                                                    {"backslash", "setminus"},
                                                                    {"overrightarrow", "vec"},
                                                                    {"smallsetminus", "setminus"},
                                                                    {"exponentialE", "e"},
                                                                    {"ulcorner", "lceil"},
                                                                    {"urcorner", "rceil"},
                                                                    {"llcorner", "lfloor"},
                                                                    {"lrcorner", "rfloor"},
                                                                    {"lgroup", "("},
                                                                    {"rgroup", ")"},
                                                                    {"lbrack", "["},
                                                                    {"rbrack", "]"},
                                                                    {"lparen", "("},
                                                                    {"rparen", ")"},
                                                                    {"lvert", "|"},
                                                                    {"rvert", "|"},
                                                                    {"vert", "|"},
                                                                    {"mid", "|"},
                                                                    {"colon", ":"},
                                                                    {"times", "*"},
                                                                    {"cdot", "*"},
                                                                    {"ast", "*"},
                                                                    {"div", "/"},
                                                                    {"slash", "/"},
                                                                    {"bullet", "*"},
                                                                    {"rightarrow", "to"},
                                                                    {"longrightarrow", "to"},
                                                                    {"Rightarrow", "to"},
                                                                    {"Longrightarrow", "to"}};
  const auto found = map->find(name);
  return found == map->end() ? name : found->second;
}

}  // namespace ponder::verifier::math
