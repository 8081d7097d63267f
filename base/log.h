// PONDER_LOG(kInfo, "step ", n): one line on stderr, with time, level and the name of this process.
#pragma once

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace ponder {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Names this process in every line, e.g. "learner.0", "actor.1". Call once, at start.
void SetLogName(absl::string_view name);
// Lines below `level` are dropped. Default kInfo.
void SetLogLevel(LogLevel level);
// Thread-safe.
void Log(LogLevel level, absl::string_view message);

}  // namespace ponder

#define PONDER_LOG(level, ...) \
  ::ponder::Log(::ponder::LogLevel::level, ::absl::StrCat(__VA_ARGS__))
