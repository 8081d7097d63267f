#include "base/types.h"

namespace ponder {

const char* OutcomeName(Verdict::Outcome outcome) {
  switch (outcome) {
    case Verdict::Outcome::kCorrect: return "correct";
    case Verdict::Outcome::kWrong: return "wrong";
    case Verdict::Outcome::kUnparsable: return "unparsable";
    case Verdict::Outcome::kTimeout: return "timeout";
    case Verdict::Outcome::kError: return "error";
    case Verdict::Outcome::kScored: return "scored";
  }
  return "error";
}

const char* StopReasonName(StopReason reason) {
  switch (reason) {
    case StopReason::kEndOfSequence: return "eos";
    case StopReason::kLength: return "length";
    case StopReason::kStop: return "stop";
    case StopReason::kCancelled: return "cancelled";
  }
  return "cancelled";
}

int64_t DTypeSize(DType dtype) {
  switch (dtype) {
    case DType::kF32: return 4;
    case DType::kBF16: return 2;
    case DType::kF16: return 2;
    case DType::kI64: return 8;
  }
  return 0;
}

const char* DTypeName(DType dtype) {
  switch (dtype) {
    case DType::kF32: return "F32";
    case DType::kBF16: return "BF16";
    case DType::kF16: return "F16";
    case DType::kI64: return "I64";
  }
  return "?";
}

}  // namespace ponder
