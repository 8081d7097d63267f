#include "actor/engine/stop_strings.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "base/check.h"

namespace ponder::actor {

StopStrings::StopStrings(std::vector<std::string> stops) : stops_(std::move(stops)) {
  for (const std::string& stop : stops_) PONDER_CHECK(!stop.empty(), "an empty stop string");
}

std::string StopStrings::Push(absl::string_view piece) {
  if (stopped_) return "";
  held_.append(piece.data(), piece.size());
  size_t shown = std::string::npos;
  for (const std::string& stop : stops_) shown = std::min(shown, held_.find(stop));
  if (shown != std::string::npos) {
    stopped_ = true;
    held_.resize(shown);
    return std::exchange(held_, "");
  }
  // The earliest place from which the rest is the beginning of a stop string.
  size_t longest = 0;
  for (const std::string& stop : stops_) longest = std::max(longest, stop.size() - 1);
  shown = held_.size() - std::min(longest, held_.size());
  const auto may_begin = [this](size_t at) {
    const absl::string_view rest = absl::string_view(held_).substr(at);
    return std::any_of(stops_.begin(), stops_.end(),
                       [rest](const std::string& stop) { return absl::StartsWith(stop, rest); });
  };
  while (shown < held_.size() && !may_begin(shown)) ++shown;
  std::string out = held_.substr(0, shown);
  held_.erase(0, shown);
  return out;
}

std::string StopStrings::Rest() { return std::exchange(held_, ""); }

}  // namespace ponder::actor
