// PONDER_CHECK: a broken invariant ends the process with the place, the condition and a message.
// For bugs only; what the world does wrong is an absl::Status.
#pragma once

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace ponder::internal {
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition,
                              absl::string_view message);
}  // namespace ponder::internal

// PONDER_CHECK(rows > 0, "rows ", rows): the rest is passed to absl::StrCat.
#define PONDER_CHECK(condition, ...)                                            \
  do {                                                                          \
    if (!(condition))                                              \
      ::ponder::internal::CheckFailed(__FILE__, __LINE__, #condition,           \
                                      ::absl::StrCat("" , ##__VA_ARGS__)); \
  } while (0)
