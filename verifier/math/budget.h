// What judging one answer may cost.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ponder::verifier::math {

constexpr size_t kMaxAnswerBytes = 64 << 10;  // of one answer, once extracted
constexpr int kMaxNodes = 4096;               // of one tree
constexpr int kMaxDepth = 200;                // of brackets and the like
constexpr long kMaxBits = 100'000;            // of an exact number

// Counts work in rough nanoseconds instead of reading a clock, so that the same question has the
// same verdict on any machine at any load. A value; not thread-safe.
class Budget {
 public:
  static constexpr int64_t kDefault = 15'000'000;
  explicit Budget(int64_t work = kDefault) : left_(work) {}

  // False once more than the budget has been spent.
  bool Spend(int64_t work) {
    left_ -= work;
    return left_ >= 0;
  }
  bool exhausted() const { return left_ < 0; }

 private:
  int64_t left_;
};

}  // namespace ponder::verifier::math
