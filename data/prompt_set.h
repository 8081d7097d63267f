// A prompt file (JSONL, see data/prompt_line.h) as a whole: every line a prompt, or an error that
// names the line.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/types.h"
#include "data/model_text.h"

namespace ponder::data {

struct PromptSetOptions {
  int64_t max_prompt_tokens = 256;  // as the model counts them; longer prompts are dropped
  std::string system_prompt;        // counted with each prompt
  std::shared_ptr<const ModelText> text = ByteText();  // of the model that counts
};

// A value.
struct PromptSet {
  struct Dropped {
    std::string id;
    int64_t tokens = 0;
  };
  std::vector<Prompt> prompts;   // in the order of the file; not empty
  std::vector<Dropped> dropped;  // too long; the caller tells the user
};

// InvalidArgument, "file:line: what is wrong; what to do": a line that can't be read, an id used
// twice, a role that doesn't exist; or "file: ..." if it is empty or every prompt is too long.
// ReadFile's errors if it can't be read.
absl::StatusOr<PromptSet> LoadPrompts(const std::string& path, const PromptSetOptions& options);

// The same from the text of a file; `name` stands for it in messages.
absl::StatusOr<PromptSet> ParsePrompts(absl::string_view jsonl, const std::string& name,
                                       const PromptSetOptions& options);

// Writes our own layout, atomically. The text in `prompts` must be UTF-8, as LoadPrompts made sure.
absl::Status WritePrompts(const std::string& path, absl::Span<const Prompt> prompts);

}  // namespace ponder::data
