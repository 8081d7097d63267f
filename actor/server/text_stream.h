// TextStream: from tokens, one by one, to text that can be shown at once: whole UTF-8 characters,
// nothing of a stop string, thoughts apart from answers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "actor/engine/stop_strings.h"
#include "data/model_text.h"

namespace ponder::actor {

// Bytes in pieces to valid UTF-8: a character waits until it is whole; bytes that cannot belong to
// one become U+FFFD (one for each maximal subpart, as Unicode recommends). A value.
class Utf8Stream {
 public:
  std::string Push(absl::string_view bytes);
  // What is held back, when nothing more will come.
  std::string Rest();

 private:
  std::string held_;
};
// All of `bytes`.
std::string ToUtf8(absl::string_view bytes);

// A value.
class TextStream {
 public:
  // Of a model that writes as `text` says. `split_thought`: its think tags part the text; else they
  // are left out of it.
  TextStream(std::shared_ptr<const data::ModelText> text, std::vector<std::string> stops,
             bool split_thought);

  struct Delta {
    std::string thought;
    std::string answer;
    bool empty() const { return thought.empty() && answer.empty(); }
  };
  Delta Push(int32_t token);
  Delta Rest();

 private:
  void Show(std::string bytes, Delta* delta);

  std::shared_ptr<const data::ModelText> text_;
  StopStrings stops_;
  Utf8Stream utf8_;
  bool split_thought_;
  bool thinking_;
};

}  // namespace ponder::actor
