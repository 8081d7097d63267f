// Texts that a model might write to hurt a grader: real answers, mutated, cut, repeated, nested.
#pragma once

#include <cstdint>
#include <iterator>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace ponder::verifier::math {

// A value: the same seeds and seed give the same texts.
class HostileText {
 public:
  // `real` isn't empty.
  HostileText(std::vector<std::string> real, uint64_t seed)
      : real_(std::move(real)), random_(seed) {}

  std::string Next() {
    std::string text = Pick(100) < 60 ? real_[Pick(real_.size())] : Bomb();
    for (uint64_t changes = Pick(4); changes > 0; --changes) Mutate(&text);
    return Pick(2) == 0 ? text : "\\boxed{" + text + "}";
  }

 private:
  uint64_t Pick(uint64_t below) { return random_() % below; }

  static std::string Repeat(const std::string& piece, uint64_t times) {
    std::string text;
    for (; times > 0; --times) text += piece;
    return text;
  }

  std::string Bomb() {
    const std::string n = std::to_string(Pick(12) + 2);
    const uint64_t many = 1 + Pick(Pick(20) == 0 ? 20000 : 200);
    switch (Pick(16)) {
      case 0:
        return Repeat(n + "^{", many % 12) + n + Repeat("}", many % 12);
      case 1:
        return "(10^{" + n + "})!" + Repeat("!", many % 5);
      case 2:
        return Repeat("\\frac{1}{", many) + n + Repeat("}", many);
      case 3:
        return Repeat("\\sqrt{" + n + "+", many % 30) + "1" + Repeat("}", many % 30);
      case 4:
        return "(x+y+z+w+" + n + ")^{" + std::to_string(many) + "}";
      case 5:
        return Repeat("(", many) + n + Repeat(")", many);
      case 6:
        return Repeat("\\boxed{", many) + n + Repeat("}", many);
      case 7:
        return Repeat("<think>", many % 50) + n + Repeat("</think>", many % 50);
      case 8:
        return "\\binom{10^{" + n + "}}{" + std::to_string(many) + "}";
      case 9:
        return Repeat("\\sin(", many % 40) + "x" + Repeat(")", many % 40);
      case 10:
        return Repeat(n + ",", many) + n;
      case 11:
        return n + "." + Repeat("3", many);
      case 12:
        return n + "e" + std::to_string(Pick(1'000'000'000'000));
      case 13:
        return "\\begin{pmatrix}" + Repeat(n + "&", many % 30) + n + "\\\\" +
               Repeat("1&", many % 30) + "2\\end{pmatrix}";
      case 14:
        return "\\log_{" + n + "}{" + Repeat("9", many) + "}^{x} = " + Repeat("\\pm ", many % 20) +
               n;
      default:
        return Repeat("\\left[1," + n + "\\right)\\cup ", many % 40) + "(0,1)";
    }
  }

  void Mutate(std::string* text) {
    static const char* const kPieces[] = {
        "{", "}",      "\\",     "^",        "_",    "&",        "\\\\",         "$",
        "(", ")",      "\\frac", "\\boxed{", "\xff", "\xe2\x80", "\xe8\xa7\xa3", "½",
        "%", "\\text", "\\left", "\\right",  "\n",   "####",     "</think>",     "answer is ",
        "0", "9",      ",",      ";",        "\\pm", "=",        "\\le"};
    const uint64_t at = Pick(text->size() + 1);
    switch (Pick(4)) {
      case 0:
        text->insert(at, kPieces[Pick(std::size(kPieces))]);
        break;
      case 1:
        text->erase(at, 1 + Pick(8));
        break;
      case 2:
        if (!text->empty()) (*text)[Pick(text->size())] = static_cast<char>(Pick(256));
        break;
      default:
        text->insert(at, text->substr(Pick(text->size() + 1), Pick(40)));
    }
  }

  const std::vector<std::string> real_;
  std::mt19937_64 random_;
};

}  // namespace ponder::verifier::math
