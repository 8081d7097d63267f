// ChatTemplate: a model's chat template, in the part of Jinja that the hub's templates use, set up
// as transformers does (trim_blocks, lstrip_blocks, break and continue, tojson, raise_exception,
// strftime_now; nothing that a template could change outside of itself).
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "nlohmann/json_fwd.hpp"

namespace ponder::data {

namespace jinja {
struct Template;
}

// Immutable; safe from many threads.
class ChatTemplate {
 public:
  // InvalidArgument: "<name>:<line>: what is wrong, in <tag>".
  static absl::StatusOr<ChatTemplate> Parse(absl::string_view text, const std::string& name);

  // A value. That a template refuses a chat (raise_exception) is an ordinary result.
  struct Rendering {
    std::string text;
    std::string error;  // empty: there is a text
    int line = 0;       // of the error
    std::string tag;    // where it happened, as it is written
  };
  // `variables`: an object, whose keys keep their order. `now` is for strftime_now. Steps, output
  // and depth are bounded: a template that does too much is an error.
  Rendering Render(const nlohmann::ordered_json& variables, absl::Time now) const;

  const std::string& name() const { return name_; }

 private:
  ChatTemplate() = default;

  std::string name_;
  std::shared_ptr<const jinja::Template> parsed_;
};

}  // namespace ponder::data
