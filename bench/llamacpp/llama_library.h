// LlamaLibrary: llama.cpp's C API, from its shared libraries at run time: to measure it and to
// compare with it. Nothing of it is linked. A machine; one for each process.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace ponder::bench {

// llama_batch, as in llama.h.
struct LlamaBatch {
  int32_t n_tokens;
  int32_t* token;
  float* embd;
  int32_t* pos;
  int32_t* n_seq_id;
  int32_t** seq_id;
  int8_t* logits;
};

// Parameters go by value; only the leading fields of the context's are set by us, and the structs
// themselves are smaller than this.
struct LlamaParams {
  alignas(8) char bytes[1024];
};

struct LlamaLibrary {
  // Opens the libraries in `folder`. Ends the process with a message where that is not possible.
  explicit LlamaLibrary(const std::string& folder);

  void (*log_set)(void (*)(int, const char*, void*), void*);
  void (*load_backends)(const char*);
  void (*backend_init)();
  LlamaParams (*model_default_params)();
  LlamaParams (*context_default_params)();
  void* (*model_load_from_file)(const char*, LlamaParams);
  const void* (*model_get_vocab)(const void*);
  int32_t (*vocab_n_tokens)(const void*);
  int32_t (*tokenize)(const void*, const char*, int32_t, int32_t*, int32_t, bool, bool);
  void* (*init_from_model)(void*, LlamaParams);
  void (*free_context)(void*);
  void (*set_n_threads)(void*, int32_t, int32_t);
  LlamaBatch (*batch_init)(int32_t, int32_t, int32_t);
  void (*batch_free)(LlamaBatch);
  int32_t (*decode)(void*, LlamaBatch);
  float* (*get_logits_ith)(void*, int32_t);
};

// How llama.cpp keeps keys and values.
enum class LlamaCache {
  kAsItComes,  // half precision, by its fastest attention
  kFloat32,    // and plain attention: float32 throughout
};

// A model with one context of `width` sequences of up to `length` tokens. A machine.
class LlamaSequences {
 public:
  // `model` and `library` outlive it.
  LlamaSequences(const LlamaLibrary& library, void* model, int32_t width, int32_t length,
                 int32_t threads, LlamaCache cache);
  ~LlamaSequences();
  LlamaSequences(const LlamaSequences&) = delete;
  LlamaSequences& operator=(const LlamaSequences&) = delete;

  // Feeds a prompt to one sequence; its likeliest next token.
  int32_t Prompt(int32_t sequence, const std::vector<int32_t>& tokens);
  // One step of all sequences in one batch; tokens_W: in, the newest; out, the likeliest next.
  void Step(int32_t position, std::vector<int32_t>* tokens_W);

 private:
  void Add(int32_t token, int32_t position, int32_t sequence, bool logits);
  void Decode();
  int32_t Likeliest(int32_t row) const;

  const LlamaLibrary& library_;
  int32_t vocab_;
  void* context_;
  LlamaBatch batch_;
};

// Ends the process with a message if the file is not a model that llama.cpp loads.
void* LoadLlamaModel(const LlamaLibrary& library, const std::string& path);

}  // namespace ponder::bench
