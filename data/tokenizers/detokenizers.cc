#include "data/tokenizers/detokenizers.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "data/tokenizers/unicode_text.h"

namespace ponder::data {
namespace {

class ByteDetokenizer final : public Detokenizer {
 public:
  explicit ByteDetokenizer(std::function<std::string(int32_t)> bytes_of)
      : bytes_of_(std::move(bytes_of)) {}

  std::string Push(int32_t id) override {
    held_ += bytes_of_(id);
    const size_t whole = held_.size() - IncompleteTail(held_);
    std::string text = ReplaceInvalidUtf8(absl::string_view(held_).substr(0, whole));
    held_.erase(0, whole);
    return text;
  }

  std::string Finish() override {
    std::string text = ReplaceInvalidUtf8(held_);
    held_.clear();
    return text;
  }

 private:
  const std::function<std::string(int32_t)> bytes_of_;
  std::string held_;  // the beginning of a character
};

// Decodes the new tokens behind the last one whose text is out, since a token's text may depend on
// whether it is the first.
class WindowDetokenizer final : public Detokenizer {
 public:
  WindowDetokenizer(const Tokenizer& tokenizer, std::function<bool(int32_t)> shows,
                    std::function<bool(int32_t)> is_byte)
      : tokenizer_(tokenizer), shows_(std::move(shows)), is_byte_(std::move(is_byte)) {}

  std::string Push(int32_t id) override {
    if (!shows_(id)) return "";
    window_.push_back(id);
    return is_byte_(id) ? "" : Take();
  }

  std::string Finish() override {
    std::string text = Take();
    window_.clear();
    has_context_ = false;
    return text;
  }

 private:
  std::string Take() {
    if (window_.empty()) return "";
    const std::string before =
        has_context_ ? tokenizer_.Decode({window_.front()}, /*skip_special=*/false) : "";
    const std::string text = tokenizer_.Decode(window_, /*skip_special=*/false);
    window_.erase(window_.begin(), window_.end() - 1);
    has_context_ = true;
    return text.substr(std::min(before.size(), text.size()));
  }

  const Tokenizer& tokenizer_;
  const std::function<bool(int32_t)> shows_, is_byte_;
  std::vector<int32_t> window_;  // perhaps a token of context, then those that are not out yet
  bool has_context_ = false;
};

}  // namespace

std::unique_ptr<Detokenizer> MakeByteDetokenizer(std::function<std::string(int32_t)> bytes_of) {
  return std::make_unique<ByteDetokenizer>(std::move(bytes_of));
}

std::unique_ptr<Detokenizer> MakeWindowDetokenizer(const Tokenizer& tokenizer,
                                                   std::function<bool(int32_t)> shows,
                                                   std::function<bool(int32_t)> is_byte) {
  return std::make_unique<WindowDetokenizer>(tokenizer, std::move(shows), std::move(is_byte));
}

}  // namespace ponder::data
