#include "base/log.h"

#include <memory>
#include <string>

#include "spdlog/sinks/stdout_sinks.h"
#include "spdlog/spdlog.h"

namespace ponder {
namespace {

spdlog::logger& Logger() {
  static auto* logger = [] {
    auto* made = new spdlog::logger("ponder", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%H:%M:%S.%e %L %n] %v");
    made->flush_on(spdlog::level::info);
    return made;
  }();
  return *logger;
}

spdlog::level::level_enum ToSpd(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarning: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

void SetLogName(absl::string_view name) {
  Logger().set_pattern(absl::StrCat("%H:%M:%S.%e %L ", name, "] %v"));
}

void SetLogLevel(LogLevel level) { Logger().set_level(ToSpd(level)); }

void Log(LogLevel level, absl::string_view message) {
  Logger().log(ToSpd(level), spdlog::string_view_t(message.data(), message.size()));
}

}  // namespace ponder
