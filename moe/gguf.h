// GGUF, the file format of llama.cpp (ggml/docs/gguf.md, version 3): a model of ours for others to
// run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "moe/checkpoint.h"

namespace ponder::moe {

// Of the matrices; norms and the router stay float32, as llama.cpp keeps them.
enum class GgufType { kF32, kF16, kBF16, kQ8_0 };

// "f32", "f16", "bf16" or "q8_0".
absl::StatusOr<GgufType> ParseGgufType(absl::string_view name);

// A tokenizer in GGUF's terms. A value.
struct GgufVocabulary {
  enum class Kind : int32_t {
    kNormal = 1,
    kUnknown = 2,
    kControl = 3,
    kUserDefined = 4,
    kUnused = 5,
    kByte = 6
  };
  std::string model = "gpt2";      // byte-level BPE; or "llama": SentencePiece's
  std::string pre;                 // what cuts text into words
  std::vector<std::string> texts;  // by id; unique
  std::vector<Kind> kinds;
  std::vector<std::string> merges;  // "a b", of gpt2
  std::vector<float> scores;        // by id, of llama
  int32_t bos_token = -1;           // -1: none
  int32_t eos_token = -1;
  int32_t unknown_token = -1;
  bool add_bos = false;  // around a text
  bool add_eos = false;
  bool add_space_prefix = false;  // of llama
};

// How GGUF spells a byte: printable ones as themselves, the others as characters from U+0100 on.
std::string GgufByteText(uint8_t byte);

// Writes architecture qwen3moe, in place of an older file. InvalidArgument: the config asks for
// what that architecture does not compute (the message names the key), or rows that q8_0 cannot cut
// into blocks of 32.
absl::Status WriteGguf(const std::string& path, const Model& model, GgufType type,
                       const GgufVocabulary& vocabulary);

}  // namespace ponder::moe
