#include "data/tokenizers/added_tokens.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "data/tokenizers/unicode_text.h"

namespace ponder::data {

void AddedTokens::Add(AddedToken token) {
  const size_t length = token.content.size();
  const auto place = std::lower_bound(lengths_.begin(), lengths_.end(), length, std::greater<>());
  if (place == lengths_.end() || *place != length) lengths_.insert(place, length);
  first_bytes_.set(static_cast<unsigned char>(token.content[0]));
  std::string content = token.content;
  tokens_.insert_or_assign(std::move(content), std::move(token));
}

const AddedToken* AddedTokens::LongestAt(absl::string_view text, size_t position) const {
  for (const size_t length : lengths_) {
    if (length > text.size() - position) continue;
    const auto found = tokens_.find(text.substr(position, length));
    if (found != tokens_.end()) return &found->second;
  }
  return nullptr;
}

std::vector<AddedTokens::Segment> AddedTokens::Cut(absl::string_view text) const {
  std::vector<Segment> segments;
  size_t done = 0;  // text before it is in `segments`
  for (size_t position = 0; position < text.size();) {
    if (!first_bytes_[static_cast<unsigned char>(text[position])]) {
      ++position;
      continue;
    }
    const AddedToken* token = LongestAt(text, position);
    if (token == nullptr) {
      ++position;
      continue;
    }
    size_t begin = position;
    size_t end = position + token->content.size();
    position = end;
    if (token->single_word &&
        (EndsWithWord(text.substr(0, begin)) || BeginsWithWord(text.substr(end)))) {
      continue;
    }
    if (token->lstrip) {
      // White space that the token before has swallowed is gone.
      begin = std::max(begin - TrailingWhitespace(text.substr(0, begin)), done);
    }
    if (token->rstrip) end += LeadingWhitespace(text.substr(end));
    if (begin > done) segments.push_back({text.substr(done, begin - done), -1});
    segments.push_back({text.substr(begin, end - begin), token->id});
    done = end;
  }
  if (done < text.size()) segments.push_back({text.substr(done), -1});
  return segments;
}

}  // namespace ponder::data
