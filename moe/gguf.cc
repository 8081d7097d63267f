#include "moe/gguf.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/atomic_file.h"
#include "base/check.h"
#include "base/status.h"
#include "moe/kernels/float_formats.h"

namespace ponder::moe {
namespace {

constexpr char kArchitecture[] = "qwen3moe";
constexpr uint64_t kAlignment = 32;

// GGUF's numbers for types of values.
enum class ValueType : uint32_t {
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9
};

// Little-endian fields, one after the other.
class FieldWriter {
 public:
  template <typename T>
  void Number(T value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    bytes_.append(bytes, sizeof(T));
  }
  void String(absl::string_view text) {
    Number<uint64_t>(text.size());
    bytes_.append(text.data(), text.size());
  }
  void Key(absl::string_view key, ValueType type) {
    String(key);
    Number(static_cast<uint32_t>(type));
    ++keys_;
  }
  void U32(absl::string_view key, int64_t value) {
    Key(key, ValueType::kU32);
    Number(static_cast<uint32_t>(value));
  }
  void F32(absl::string_view key, double value) {
    Key(key, ValueType::kF32);
    Number(static_cast<float>(value));
  }
  void Bool(absl::string_view key, bool value) {
    Key(key, ValueType::kBool);
    Number(static_cast<uint8_t>(value));
  }
  void Text(absl::string_view key, absl::string_view value) {
    Key(key, ValueType::kString);
    String(value);
  }
  void Array(absl::string_view key, ValueType type, size_t size) {
    Key(key, ValueType::kArray);
    Number(static_cast<uint32_t>(type));
    Number<uint64_t>(size);
  }
  uint64_t keys() const { return keys_; }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
  uint64_t keys_ = 0;
};

// Of ggml: number, and `general.file_type` of a file that is mostly of it.
struct TypeNumbers {
  const char* name;
  uint32_t tensor;
  uint32_t file;
};
TypeNumbers NumbersOf(GgufType type) {
  switch (type) {
    case GgufType::kF16:
      return {"f16", 1, 1};
    case GgufType::kBF16:
      return {"bf16", 30, 32};
    case GgufType::kQ8_0:
      return {"q8_0", 8, 7};
    case GgufType::kF32:
      break;
  }
  return {"f32", 0, 0};
}

// One tensor of the file: the rows of one or several of ours.
struct Tensor {
  std::string name;
  std::vector<int64_t> shape;  // outermost first
  std::vector<absl::Span<const float>> parts;
  GgufType type;

  uint64_t bytes() const {
    uint64_t count = 0;
    for (absl::Span<const float> part : parts) count += part.size();
    switch (type) {
      case GgufType::kF32:
        return 4 * count;
      case GgufType::kQ8_0:
        return count / kernels::kQ8Block * sizeof(kernels::Q8Block);
      case GgufType::kF16:
      case GgufType::kBF16:
        break;
    }
    return 2 * count;
  }
};

// Collects the tensors of a model; the first failure is kept.
class TensorList {
 public:
  TensorList(const Weights& weights, GgufType type) : weights_(weights), type_(type) {}

  // A vector, or a matrix that stays float32.
  void Exact(std::string name, std::vector<int64_t> shape, const std::string& source) {
    Add({std::move(name), std::move(shape), {}, GgufType::kF32}, {source});
  }
  void Matrix(std::string name, std::vector<int64_t> shape, std::vector<std::string> sources) {
    if (type_ == GgufType::kQ8_0 && shape.back() % kernels::kQ8Block != 0 && status_.ok()) {
      status_ = absl::InvalidArgumentError(absl::StrCat(
          sources.front(), " has rows of ", shape.back(), ", which q8_0 cannot cut into blocks of ",
          kernels::kQ8Block, "; use f16 or bf16"));
    }
    Add({std::move(name), std::move(shape), {}, type_}, sources);
  }
  absl::StatusOr<std::vector<Tensor>> Take() {
    PONDER_RETURN_IF_ERROR(status_);
    return std::move(tensors_);
  }

 private:
  void Add(Tensor tensor, const std::vector<std::string>& sources) {
    for (const std::string& source : sources) {
      const auto values = weights_.F32(source);
      if (!values.ok()) {
        if (status_.ok()) status_ = values.status();
        return;
      }
      tensor.parts.push_back(*values);
    }
    tensors_.push_back(std::move(tensor));
  }

  const Weights& weights_;
  const GgufType type_;
  std::vector<Tensor> tensors_;
  absl::Status status_;
};

absl::Status CheckExpressible(const ModelConfig& config) {
  const std::pair<const char*, bool> needs[] = {
      {"num_experts must be at least 1", config.num_experts > 0},
      {"every layer must have experts", config.NumMoeLayers() == config.num_hidden_layers},
      {"shared_expert_intermediate_size must be 0", config.shared_expert_intermediate_size == 0},
      {"scoring_func must be softmax", config.scoring_func == "softmax"},
      {"norm_topk_prob must be true", config.norm_topk_prob},
      {"queries and keys must be normalised by head", config.qk_norm == QkNorm::kPerHead},
      {"attention must be of grouped queries", !config.IsMla()},
      {"attention_bias must be false", !config.attention_bias && !config.attention_output_bias},
      {"rope_scaling must be null", config.rope_scaling.type == RopeScaling::Type::kNone},
      {"routed_scaling_factor must be 1", config.routed_scaling_factor == 1},
  };
  for (const auto& [need, holds] : needs) {
    if (!holds) {
      return absl::InvalidArgumentError(
          absl::StrCat("llama.cpp's ", kArchitecture, " cannot express this model: ", need));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Tensor>> TensorsOf(const Model& model, GgufType type) {
  const ModelConfig& c = model.config;
  const int64_t h = c.hidden_size;
  const int64_t q_out = c.num_attention_heads * c.head_dim;
  const int64_t kv_out = c.num_key_value_heads * c.head_dim;
  TensorList list(*model.weights, type);
  list.Matrix("token_embd.weight", {c.vocab_size, h}, {"model.embed_tokens.weight"});
  list.Exact("output_norm.weight", {h}, "model.norm.weight");
  if (!c.tie_word_embeddings) list.Matrix("output.weight", {c.vocab_size, h}, {"lm_head.weight"});
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    const std::string from = absl::StrCat("model.layers.", i, ".");
    const std::string to = absl::StrCat("blk.", i, ".");
    list.Exact(to + "attn_norm.weight", {h}, from + "input_layernorm.weight");
    list.Exact(to + "ffn_norm.weight", {h}, from + "post_attention_layernorm.weight");
    list.Matrix(to + "attn_q.weight", {q_out, h}, {from + "self_attn.q_proj.weight"});
    list.Matrix(to + "attn_k.weight", {kv_out, h}, {from + "self_attn.k_proj.weight"});
    list.Matrix(to + "attn_v.weight", {kv_out, h}, {from + "self_attn.v_proj.weight"});
    list.Matrix(to + "attn_output.weight", {h, q_out}, {from + "self_attn.o_proj.weight"});
    list.Exact(to + "attn_q_norm.weight", {c.head_dim}, from + "self_attn.q_norm.weight");
    list.Exact(to + "attn_k_norm.weight", {c.head_dim}, from + "self_attn.k_norm.weight");
    list.Exact(to + "ffn_gate_inp.weight", {c.num_experts, h}, from + "mlp.gate.weight");
    std::vector<std::string> gates, ups, downs;
    for (int64_t e = 0; e < c.num_experts; ++e) {
      const std::string expert = absl::StrCat(from, "mlp.experts.", e, ".");
      gates.push_back(expert + "gate_proj.weight");
      ups.push_back(expert + "up_proj.weight");
      downs.push_back(expert + "down_proj.weight");
    }
    const int64_t inner = c.moe_intermediate_size;
    list.Matrix(to + "ffn_gate_exps.weight", {c.num_experts, inner, h}, std::move(gates));
    list.Matrix(to + "ffn_up_exps.weight", {c.num_experts, inner, h}, std::move(ups));
    list.Matrix(to + "ffn_down_exps.weight", {c.num_experts, h, inner}, std::move(downs));
  }
  return list.Take();
}

void AddMetadata(const ModelConfig& c, GgufType type, const GgufVocabulary& vocabulary,
                 FieldWriter& out) {
  const auto key = [](const char* name) { return absl::StrCat(kArchitecture, ".", name); };
  out.Text("general.architecture", kArchitecture);
  out.Text("general.name", "ponder");
  out.U32("general.file_type", NumbersOf(type).file);
  out.U32("general.quantization_version", 2);
  out.U32(key("context_length"), c.max_position_embeddings);
  out.U32(key("embedding_length"), c.hidden_size);
  out.U32(key("block_count"), c.num_hidden_layers);
  out.U32(key("feed_forward_length"), c.moe_intermediate_size);
  out.U32(key("attention.head_count"), c.num_attention_heads);
  out.U32(key("attention.head_count_kv"), c.num_key_value_heads);
  out.U32(key("attention.key_length"), c.head_dim);
  out.U32(key("attention.value_length"), c.head_dim);
  out.F32(key("attention.layer_norm_rms_epsilon"), c.rms_norm_eps);
  out.F32(key("rope.freq_base"), c.rope_theta);
  out.U32(key("expert_count"), c.num_experts);
  out.U32(key("expert_used_count"), c.num_experts_per_tok);
  out.U32(key("expert_feed_forward_length"), c.moe_intermediate_size);
  out.Text("tokenizer.ggml.model", vocabulary.model);
  out.Text("tokenizer.ggml.pre", vocabulary.pre);
  out.Array("tokenizer.ggml.tokens", ValueType::kString, vocabulary.texts.size());
  for (const std::string& text : vocabulary.texts) out.String(text);
  out.Array("tokenizer.ggml.token_type", ValueType::kI32, vocabulary.kinds.size());
  for (GgufVocabulary::Kind kind : vocabulary.kinds) out.Number(static_cast<int32_t>(kind));
  if (vocabulary.model == "gpt2") {
    out.Array("tokenizer.ggml.merges", ValueType::kString, vocabulary.merges.size());
    for (const std::string& merge : vocabulary.merges) out.String(merge);
  } else {
    out.Array("tokenizer.ggml.scores", ValueType::kF32, vocabulary.scores.size());
    for (const float score : vocabulary.scores) out.Number(score);
    out.Bool("tokenizer.ggml.add_space_prefix", vocabulary.add_space_prefix);
  }
  const std::pair<const char*, int32_t> named[] = {
      {"tokenizer.ggml.bos_token_id", vocabulary.bos_token},
      {"tokenizer.ggml.eos_token_id", vocabulary.eos_token},
      {"tokenizer.ggml.unknown_token_id", vocabulary.unknown_token}};
  for (const auto& [key, id] : named)
    if (id >= 0) out.U32(key, id);
  out.Bool("tokenizer.ggml.add_bos_token", vocabulary.add_bos);
  out.Bool("tokenizer.ggml.add_eos_token", vocabulary.add_eos);
}

std::string Padding(uint64_t bytes) {
  return std::string((kAlignment - bytes % kAlignment) % kAlignment, '\0');
}

absl::Status AppendPart(absl::Span<const float> part, GgufType type, AtomicFileWriter& file) {
  const auto bytes_of = [](const auto& values) {
    return absl::string_view(reinterpret_cast<const char*>(values.data()),
                             values.size() * sizeof(values[0]));
  };
  if (type == GgufType::kF32) return file.Append(bytes_of(part));
  if (type == GgufType::kQ8_0) {
    std::vector<kernels::Q8Block> blocks(part.size() / kernels::kQ8Block);
    for (size_t i = 0; i < blocks.size(); ++i)
      blocks[i] = kernels::ToQ8(&part[i * kernels::kQ8Block]);
    return file.Append(bytes_of(blocks));
  }
  std::vector<uint16_t> narrow(part.size());
  for (size_t i = 0; i < part.size(); ++i) {
    narrow[i] = type == GgufType::kF16 ? kernels::ToF16(part[i]) : kernels::ToBf16(part[i]);
  }
  return file.Append(bytes_of(narrow));
}

}  // namespace

absl::StatusOr<GgufType> ParseGgufType(absl::string_view name) {
  for (GgufType type : {GgufType::kF32, GgufType::kF16, GgufType::kBF16, GgufType::kQ8_0}) {
    if (name == NumbersOf(type).name) return type;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", name, "\" is not one of f32, f16, bf16, q8_0"));
}

std::string GgufByteText(uint8_t byte) {
  const auto printable = [](int b) {
    return (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
  };
  uint32_t code = byte;
  if (!printable(byte)) {
    code = 0x100;
    for (int b = 0; b < byte; ++b) code += printable(b) ? 0 : 1;
  }
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 0x3f))};
}

absl::Status WriteGguf(const std::string& path, const Model& model, GgufType type,
                       const GgufVocabulary& vocabulary) {
  PONDER_RETURN_IF_ERROR(CheckExpressible(model.config));
  PONDER_CHECK(static_cast<int64_t>(vocabulary.texts.size()) == model.config.vocab_size &&
                   vocabulary.kinds.size() == vocabulary.texts.size(),
               vocabulary.texts.size(), " tokens for a vocabulary of ", model.config.vocab_size);
  PONDER_ASSIGN_OR_RETURN(const std::vector<Tensor> tensors, TensorsOf(model, type));
  FieldWriter metadata;
  AddMetadata(model.config, type, vocabulary, metadata);
  FieldWriter header;
  header.Number<uint32_t>(0x46554747);  // "GGUF"
  header.Number<uint32_t>(3);
  header.Number<uint64_t>(tensors.size());
  header.Number<uint64_t>(metadata.keys());
  FieldWriter infos;
  uint64_t offset = 0;
  for (const Tensor& tensor : tensors) {
    infos.String(tensor.name);
    infos.Number(static_cast<uint32_t>(tensor.shape.size()));
    for (auto dim = tensor.shape.rbegin(); dim != tensor.shape.rend(); ++dim) {
      infos.Number(static_cast<uint64_t>(*dim));
    }
    infos.Number(NumbersOf(tensor.type).tensor);
    infos.Number(offset);
    offset += tensor.bytes() + Padding(tensor.bytes()).size();
  }
  std::string head = header.bytes() + metadata.bytes() + infos.bytes();
  head += Padding(head.size());
  PONDER_ASSIGN_OR_RETURN(AtomicFileWriter file, AtomicFileWriter::Open(path));
  PONDER_RETURN_IF_ERROR(file.Append(head));
  for (const Tensor& tensor : tensors) {
    for (absl::Span<const float> part : tensor.parts) {
      PONDER_RETURN_IF_ERROR(AppendPart(part, tensor.type, file));
    }
    PONDER_RETURN_IF_ERROR(file.Append(Padding(tensor.bytes())));
  }
  return file.Commit();
}

}  // namespace ponder::moe
