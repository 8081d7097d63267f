// ModelText: how a model reads and writes, as its folder says: chats and traces become its tokens,
// and its tokens text. docs/text.md tells what comes from which file.
//
// Two kinds: a folder with a tokenizer speaks through its chat template; one without speaks bytes,
// in our own format (data/chat_format.h).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/types.h"

namespace ponder::data {

struct ModelTextOptions {
  std::string chat_template;  // file to use instead of the folder's; empty: none
  std::string think_open = "<think>";
  std::string think_close = "</think>";
};

// A seam. Immutable; safe from many threads.
class ModelText {
 public:
  virtual ~ModelText() = default;

  // What the model is fed: it ends where the model takes over. `system_prompt` opens the chat
  // unless it is empty or `messages` begin with a system turn of their own. InvalidArgument: what
  // the format or the template finds wrong with the messages.
  virtual absl::StatusOr<std::vector<int32_t>> EncodeChat(
      absl::Span<const Message> messages, absl::string_view system_prompt) const = 0;
  // The response that supervised training aims at: thought, answer, end of sequence.
  virtual absl::StatusOr<std::vector<int32_t>> EncodeTrace(absl::string_view thought,
                                                           absl::string_view answer) const = 0;
  // A text to go on from, with what the model puts around one (BOS).
  virtual absl::StatusOr<std::vector<int32_t>> EncodeText(absl::string_view text) const = 0;

  // What a verifier is shown of a response: its text without the end of sequence, the thought
  // between <think> and </think> whatever the model's own tags are.
  virtual std::string ResponseText(absl::Span<const int32_t> tokens) const = 0;
  // The bytes that a token adds to a text; none for control tokens and think tags.
  virtual std::string TokenBytes(int32_t token) const = 0;
  // How a token is called where single ones are listed: its bytes, or the name of a special one.
  virtual std::string TokenName(int32_t token) const = 0;

  // One past the largest token.
  virtual int64_t vocab_size() const = 0;
  // Each ends a response. May be empty.
  const std::vector<int32_t>& eos_tokens() const { return eos_tokens_; }
  // -1: the tags are no tokens of their own.
  int32_t think_open() const { return think_open_; }
  int32_t think_close() const { return think_close_; }
  // Whether a prompt ends inside a thought that it has opened for the model.
  bool prompt_opens_thought() const { return prompt_opens_thought_; }

 protected:
  std::vector<int32_t> eos_tokens_;
  int32_t think_open_ = -1;
  int32_t think_close_ = -1;
  bool prompt_opens_thought_ = false;
};

// Of a model's folder. End-of-sequence tokens are those of generation_config.json, else of
// config.json, and tokenizer_config.json's eos_token. InvalidArgument: a broken file; the message
// names file and key or line. A folder with a tokenizer and no chat template is one whose
// EncodeChat fails.
absl::StatusOr<std::shared_ptr<const ModelText>> LoadModelText(
    const std::string& folder, const ModelTextOptions& options = {});

// Of models that speak bytes: always the same object.
std::shared_ptr<const ModelText> ByteText();

// The folder's files that belong to its text rather than to its weights, name -> bytes: they go
// with every checkpoint. The chat template is the one of `options`, if it names one.
absl::StatusOr<std::map<std::string, std::string>> ModelTextFiles(const std::string& folder,
                                                                  const ModelTextOptions& options);

}  // namespace ponder::data
