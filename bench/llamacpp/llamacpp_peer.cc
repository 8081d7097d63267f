// llama.cpp, asked for what bench_decode measures and for what a test compares.
//   llamacpp_peer rate LIBRARIES MODEL.gguf THREADS NEW_TOKENS WIDTH...
//     {"width", "tokens_per_s", "cpu_us_per_token"} for each width: W sequences in lockstep,
//     greedy, prompts of 16 tokens. Only the decoding is timed.
//   llamacpp_peer continue LIBRARIES MODEL.gguf NEW_TOKENS < prompts
//     for each line of the input, two lines of token ids: the prompt's, and its greedy
//     continuation.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <string>
#include <vector>

#include "bench/llamacpp/llama_library.h"

namespace ponder::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int32_t kPromptTokens = 16;

void MeasureRate(const LlamaLibrary& library, void* model, int32_t threads, int32_t new_tokens,
                 int32_t width) {
  LlamaSequences sequences(library, model, width, kPromptTokens + new_tokens + 8, threads,
                           LlamaCache::kAsItComes);
  std::vector<int32_t> newest;
  for (int32_t s = 0; s < width; ++s) {
    std::vector<int32_t> prompt;
    for (int32_t t = 0; t < kPromptTokens; ++t) prompt.push_back('A' + (s + t) % 26);
    newest.push_back(sequences.Prompt(s, prompt));
  }
  const std::clock_t cpu_start = std::clock();
  const auto start = Clock::now();
  for (int32_t step = 0; step < new_tokens; ++step) sequences.Step(kPromptTokens + step, &newest);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  const double cpu_seconds = static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC;
  const double tokens = static_cast<double>(width) * new_tokens;
  std::printf("{\"width\": %d, \"tokens_per_s\": %.1f, \"cpu_us_per_token\": %.2f}\n", width,
              tokens / seconds, cpu_seconds * 1e6 / tokens);
  std::fflush(stdout);
}

std::vector<int32_t> Tokenize(const LlamaLibrary& library, void* model, const std::string& text) {
  std::vector<int32_t> tokens(text.size() + 8);
  const int32_t count = library.tokenize(
      library.model_get_vocab(model), text.data(), static_cast<int32_t>(text.size()), tokens.data(),
      static_cast<int32_t>(tokens.size()), /*add_special=*/false, /*parse_special=*/true);
  tokens.resize(count < 0 ? 0 : static_cast<size_t>(count));
  return tokens;
}

void Print(const std::vector<int32_t>& tokens) {
  for (size_t i = 0; i < tokens.size(); ++i) std::printf(i == 0 ? "%d" : " %d", tokens[i]);
  std::printf("\n");
}

void Continue(const LlamaLibrary& library, void* model, int32_t new_tokens) {
  std::string text;
  while (std::getline(std::cin, text)) {
    const std::vector<int32_t> prompt = Tokenize(library, model, text);
    const auto size = static_cast<int32_t>(prompt.size());
    LlamaSequences sequences(library, model, 1, size + new_tokens, /*threads=*/1,
                             LlamaCache::kFloat32);
    std::vector<int32_t> newest = {sequences.Prompt(0, prompt)};
    std::vector<int32_t> tokens = newest;
    for (int32_t i = 0; i + 1 < new_tokens; ++i) {
      sequences.Step(size + i, &newest);
      tokens.push_back(newest[0]);
    }
    Print(prompt);
    Print(tokens);
  }
}

}  // namespace
}  // namespace ponder::bench

int main(int argc, char** argv) {
  using namespace ponder::bench;
  const std::string command = argc > 1 ? argv[1] : "";
  if (command == "rate" && argc > 6) {
    const LlamaLibrary library(argv[2]);
    void* model = LoadLlamaModel(library, argv[3]);
    for (int i = 6; i < argc; ++i) {
      MeasureRate(library, model, std::atoi(argv[4]), std::atoi(argv[5]), std::atoi(argv[i]));
    }
    return 0;
  }
  if (command == "continue" && argc == 5) {
    const LlamaLibrary library(argv[2]);
    Continue(library, LoadLlamaModel(library, argv[3]), std::atoi(argv[4]));
    return 0;
  }
  std::fprintf(stderr,
               "usage: llamacpp_peer rate LIBRARIES MODEL.gguf THREADS NEW_TOKENS WIDTH...\n"
               "       llamacpp_peer continue LIBRARIES MODEL.gguf NEW_TOKENS < prompts\n");
  return 2;
}
