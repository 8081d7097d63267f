// Shorthand for functions that return absl::Status or absl::StatusOr.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

// Returns from the enclosing function if `expr` is not OK.
#define PONDER_RETURN_IF_ERROR(expr)                    \
  do {                                                  \
    ::absl::Status ponder_status_ = (expr);             \
    if (!ponder_status_.ok()) return ponder_status_;    \
  } while (0)

#define PONDER_STATUS_CONCAT_INNER_(a, b) a##b
#define PONDER_STATUS_CONCAT_(a, b) PONDER_STATUS_CONCAT_INNER_(a, b)

// PONDER_ASSIGN_OR_RETURN(auto x, MakeX()): declares x from a StatusOr, or returns its status.
#define PONDER_ASSIGN_OR_RETURN(lhs, expr)                                      \
  auto PONDER_STATUS_CONCAT_(ponder_or_, __LINE__) = (expr);                    \
  if (!PONDER_STATUS_CONCAT_(ponder_or_, __LINE__).ok())                        \
    return std::move(PONDER_STATUS_CONCAT_(ponder_or_, __LINE__)).status();     \
  lhs = std::move(PONDER_STATUS_CONCAT_(ponder_or_, __LINE__)).value()

namespace ponder {

// The same error with "<context>: " before its message.
inline absl::Status Annotate(const absl::Status& status, absl::string_view context) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(context, ": ", status.message()));
}

}  // namespace ponder
