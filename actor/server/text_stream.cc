#include "actor/server/text_stream.h"

#include <utility>

namespace ponder::actor {
namespace {

constexpr char kReplacement[] = "\xEF\xBF\xBD";

// The first character of `s`: `size` bytes of it; `whole`: it is valid, `cut`: it may become so.
struct Character {
  size_t size = 1;
  bool whole = false;
  bool cut = false;
};

// Unicode 15, table 3-7: well-formed UTF-8.
Character FirstCharacter(absl::string_view s) {
  const auto byte = [s](size_t i) { return static_cast<unsigned char>(s[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {1, true, false};
  if (lead < 0xC2 || lead > 0xF4) return {1, false, false};
  const size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  unsigned char low = 0x80, high = 0xBF;
  if (lead == 0xE0) low = 0xA0;
  if (lead == 0xED) high = 0x9F;
  if (lead == 0xF0) low = 0x90;
  if (lead == 0xF4) high = 0x8F;
  for (size_t i = 1; i < length; ++i) {
    if (i == s.size()) return {i, false, true};
    if (byte(i) < low || byte(i) > high) return {i, false, false};
    low = 0x80;
    high = 0xBF;
  }
  return {length, true, false};
}

}  // namespace

std::string Utf8Stream::Push(absl::string_view bytes) {
  held_.append(bytes.data(), bytes.size());
  std::string out;
  size_t read = 0;
  while (read < held_.size()) {
    const Character character = FirstCharacter(absl::string_view(held_).substr(read));
    if (character.cut) break;
    if (character.whole) {
      out.append(held_, read, character.size);
    } else {
      out += kReplacement;
    }
    read += character.size;
  }
  held_.erase(0, read);
  return out;
}

std::string Utf8Stream::Rest() {
  const bool cut = !std::exchange(held_, "").empty();
  return cut ? kReplacement : "";
}

std::string ToUtf8(absl::string_view bytes) {
  Utf8Stream stream;
  const std::string text = stream.Push(bytes);
  return text + stream.Rest();
}

TextStream::TextStream(std::shared_ptr<const data::ModelText> text, std::vector<std::string> stops,
                       bool split_thought)
    : text_(std::move(text)),
      stops_(std::move(stops)),
      split_thought_(split_thought && text_->think_open() >= 0),
      thinking_(split_thought_ && text_->prompt_opens_thought()) {}

TextStream::Delta TextStream::Push(int32_t token) {
  Delta delta;
  const bool opens = token == text_->think_open();
  if (split_thought_ && (opens || token == text_->think_close())) {
    delta = Rest();  // a character or a stop string does not reach across
    thinking_ = opens;
    return delta;
  }
  Show(stops_.Push(text_->TokenBytes(token)), &delta);
  return delta;
}

TextStream::Delta TextStream::Rest() {
  Delta delta;
  Show(stops_.Rest(), &delta);
  (thinking_ ? delta.thought : delta.answer) += utf8_.Rest();
  return delta;
}

void TextStream::Show(std::string bytes, Delta* delta) {
  (thinking_ ? delta->thought : delta->answer) += utf8_.Push(bytes);
}

}  // namespace ponder::actor
