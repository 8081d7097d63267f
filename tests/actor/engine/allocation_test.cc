// A running engine allocates nothing beside what the kernels do in a forward pass: counted by
// replacing operator new.
#include <atomic>
#include <cstdlib>
#include <new>

#include "actor/engine/engine.h"
#include "gtest/gtest.h"
#include "moe/kernels/aligned_buffer.h"
#include "tests/moe/reference_decoder.h"
#include "tests/moe/tiny_config.h"

namespace {
std::atomic<int64_t> allocations{0};
}  // namespace

// Not inlined: else the compiler sees a pointer of its own `new` go to free.
__attribute__((noinline)) void* operator new(std::size_t size) {
  ++allocations;
  void* memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  return memory;
}
__attribute__((noinline)) void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size);
}
__attribute__((noinline)) void operator delete(void* memory) noexcept { std::free(memory); }
__attribute__((noinline)) void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace ponder::actor {
namespace {

TEST(Allocation, NoneForATokenInSteadyState) {
  moe::ModelConfig config = moe::TinyByteConfig(/*max_position_embeddings=*/256);
  config.num_hidden_layers = 2;
  Engine::Options options;
  options.threads = 2;
  options.kv_cache_mib = 4;
  const moe::Model model = moe::RandomModel(config, 3);
  auto engine = *Engine::Make(options, model, 1);
  for (int64_t sample = 0; sample < 16; ++sample) {
    Engine::Request request;
    request.key = {"p", sample};
    request.prompt_tokens = {1, 2, 3, 4};
    request.max_new_tokens = 200;
    request.eos_tokens = {};
    if (sample % 3 == 1) request.sampling = {0.7f, 0.9f};
    if (sample % 3 == 2) request.sampling.repetition_penalty = 1.1f;
    request.top_logprobs = sample % 2 * 3;
    ASSERT_TRUE(engine->Enqueue(std::move(request)).ok());
  }
  std::vector<Engine::Finished> done;
  int64_t seen = 0;
  const Engine::OnToken on_token = [&seen](const Engine::Token&) { ++seen; };
  for (int step = 0; step < 40; ++step) ASSERT_TRUE(engine->Step(&done, on_token).ok());
  const int64_t before = allocations, seen_before = seen;
  for (int step = 0; step < 120; ++step) ASSERT_TRUE(engine->Step(&done, on_token).ok());
  const int64_t of_engine = allocations - before;
  EXPECT_EQ(seen - seen_before, 16 * 120);

  // As many bare passes over as many sequences.
  kernels::ThreadPool pool(options.threads);
  moe::Inference inference(pool, *moe::PackModel(pool, model));
  std::vector<kernels::AlignedBuffer> memory;
  std::vector<std::vector<float*>> pages(16);
  for (int64_t i = 0; i < 16 * 8; ++i) {
    memory.emplace_back(kernels::KvPageFloats(config.attention_shape(), config.num_hidden_layers));
    pages[static_cast<size_t>(i % 16)].push_back(memory.back().data());
  }
  std::vector<int32_t> tokens, logit_rows;
  std::vector<kernels::AttentionRow> rows;
  for (int32_t i = 0; i < 16; ++i) {
    tokens.push_back(2 * i + 1);
    logit_rows.push_back(i);
    rows.push_back({pages[static_cast<size_t>(i)].data(), 0});
  }
  int64_t warm = 0;
  for (int step = 0; step < 160; ++step) {
    if (step == 40) warm = allocations;
    for (kernels::AttentionRow& row : rows) ++row.length;
    inference.Forward(tokens, rows, logit_rows);
  }
  // Lists of the kernels differ a little in length with the experts that tokens choose.
  EXPECT_LT(of_engine - (allocations - warm), 16 * 120 / 4);
}

}  // namespace
}  // namespace ponder::actor
