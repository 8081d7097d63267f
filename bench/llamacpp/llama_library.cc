#include "bench/llamacpp/llama_library.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace ponder::bench {
namespace {

constexpr int32_t kMostTokens = 2048;  // of a batch

[[noreturn]] void Fail(const std::string& message) {
  std::fprintf(stderr, "llama.cpp: %s\n", message.c_str());
  std::exit(1);
}

// Files carry a version in their names: libllama.v0.5.0.so.
void* Open(const std::string& folder, const std::string& name) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string file = entry.path().filename().string();
    if (file.rfind(name + ".", 0) != 0) continue;
    void* library = dlopen(entry.path().c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (library == nullptr) Fail(dlerror());
    return library;
  }
  Fail("no " + name + ".*so in " + folder);
}

template <typename Function>
void Find(void* library, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(library, name));
  if (*function == nullptr) Fail(std::string("no function ") + name);
}

// Fields of llama_context_params, in words of 32 bits, and ggml's numbers of types.
constexpr size_t kFlashAttention = 13;
constexpr size_t kTypeOfKeys = 26;
constexpr size_t kTypeOfValues = 27;
constexpr uint32_t kGgmlF32 = 0;
constexpr uint32_t kGgmlF16 = 1;

// Another default than we know means another layout: nothing is written into that.
void Replace(size_t word, uint32_t known_default, uint32_t value, LlamaParams* params) {
  char* at = params->bytes + word * sizeof(uint32_t);
  uint32_t old = 0;
  std::memcpy(&old, at, sizeof(old));
  if (old != known_default) Fail("llama_context_params has another layout in this version");
  std::memcpy(at, &value, sizeof(value));
}

void SayNothing(int, const char*, void*) {}

}  // namespace

LlamaLibrary::LlamaLibrary(const std::string& folder) {
  void* ggml = Open(folder, "libggml");
  void* llama = Open(folder, "libllama");
  Find(llama, "llama_log_set", &log_set);
  Find(ggml, "ggml_backend_load_all_from_path", &load_backends);
  Find(llama, "llama_backend_init", &backend_init);
  Find(llama, "llama_model_default_params", &model_default_params);
  Find(llama, "llama_context_default_params", &context_default_params);
  Find(llama, "llama_model_load_from_file", &model_load_from_file);
  Find(llama, "llama_model_get_vocab", &model_get_vocab);
  Find(llama, "llama_vocab_n_tokens", &vocab_n_tokens);
  Find(llama, "llama_tokenize", &tokenize);
  Find(llama, "llama_init_from_model", &init_from_model);
  Find(llama, "llama_free", &free_context);
  Find(llama, "llama_set_n_threads", &set_n_threads);
  Find(llama, "llama_batch_init", &batch_init);
  Find(llama, "llama_batch_free", &batch_free);
  Find(llama, "llama_decode", &decode);
  Find(llama, "llama_get_logits_ith", &get_logits_ith);
  log_set(SayNothing, nullptr);
  load_backends(folder.c_str());
  backend_init();
}

void* LoadLlamaModel(const LlamaLibrary& library, const std::string& path) {
  void* model = library.model_load_from_file(path.c_str(), library.model_default_params());
  if (model == nullptr) Fail("can't load " + path);
  return model;
}

LlamaSequences::LlamaSequences(const LlamaLibrary& library, void* model, int32_t width,
                               int32_t length, int32_t threads, LlamaCache cache)
    : library_(library),
      vocab_(library.vocab_n_tokens(library.model_get_vocab(model))),
      batch_(library.batch_init(kMostTokens, 0, 1)) {
  LlamaParams params = library.context_default_params();
  const uint32_t leading[] = {static_cast<uint32_t>(width * length),  // n_ctx
                              kMostTokens,                            // n_batch
                              512,                                    // n_ubatch
                              static_cast<uint32_t>(width)};          // n_seq_max
  std::memcpy(params.bytes, leading, sizeof(leading));
  if (cache == LlamaCache::kFloat32) {
    Replace(kFlashAttention, /*automatic=*/UINT32_MAX, /*disabled=*/0, &params);
    Replace(kTypeOfKeys, kGgmlF16, kGgmlF32, &params);
    Replace(kTypeOfValues, kGgmlF16, kGgmlF32, &params);
  }
  context_ = library.init_from_model(model, params);
  if (context_ == nullptr) Fail("no context of " + std::to_string(width) + " sequences");
  library.set_n_threads(context_, threads, threads);
}

LlamaSequences::~LlamaSequences() {
  library_.batch_free(batch_);
  library_.free_context(context_);
}

void LlamaSequences::Add(int32_t token, int32_t position, int32_t sequence, bool logits) {
  const int32_t i = batch_.n_tokens++;
  batch_.token[i] = token;
  batch_.pos[i] = position;
  batch_.n_seq_id[i] = 1;
  batch_.seq_id[i][0] = sequence;
  batch_.logits[i] = logits;
}

void LlamaSequences::Decode() {
  if (library_.decode(context_, batch_) != 0) Fail("llama_decode failed");
}

int32_t LlamaSequences::Likeliest(int32_t row) const {
  const float* logits = library_.get_logits_ith(context_, row);
  return static_cast<int32_t>(std::max_element(logits, logits + vocab_) - logits);
}

int32_t LlamaSequences::Prompt(int32_t sequence, const std::vector<int32_t>& tokens) {
  const auto size = static_cast<int32_t>(tokens.size());
  batch_.n_tokens = 0;
  for (int32_t t = 0; t < size; ++t)
    Add(tokens[static_cast<size_t>(t)], t, sequence, t + 1 == size);
  Decode();
  return Likeliest(size - 1);
}

void LlamaSequences::Step(int32_t position, std::vector<int32_t>* tokens_W) {
  batch_.n_tokens = 0;
  for (size_t s = 0; s < tokens_W->size(); ++s) {
    Add((*tokens_W)[s], position, static_cast<int32_t>(s), true);
  }
  Decode();
  for (size_t s = 0; s < tokens_W->size(); ++s) (*tokens_W)[s] = Likeliest(static_cast<int32_t>(s));
}

}  // namespace ponder::bench
