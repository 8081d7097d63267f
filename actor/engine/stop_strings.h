// StopStrings: text that comes piece by piece, until one of some strings has come.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace ponder::actor {

// A value. Bytes, not characters; a stop string may come in any number of pieces.
class StopStrings {
 public:
  explicit StopStrings(std::vector<std::string> stops);  // none of them empty

  // Adds `piece`; returns the text that can be shown: all up to the stop string that begins first,
  // or up to where one might have begun. Nothing once stopped.
  std::string Push(absl::string_view piece);
  // What Push still holds back, when nothing more will come.
  std::string Rest();
  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace ponder::actor
