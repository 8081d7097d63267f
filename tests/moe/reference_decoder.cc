#include "tests/moe/reference_decoder.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/philox.h"

namespace ponder::moe {
namespace {

using Vector = std::vector<double>;

class Reference {
 public:
  explicit Reference(const Model& model) : model_(model), config_(model.config) {}

  std::vector<Vector> Logits(absl::Span<const int32_t> tokens) const {
    std::vector<Vector> x;
    const auto embeddings = Tensor("model.embed_tokens.weight");
    const size_t h = static_cast<size_t>(config_.hidden_size);
    for (int32_t token : tokens) {
      const float* row = embeddings.data() + static_cast<size_t>(token) * h;
      x.emplace_back(row, row + h);
    }
    for (int64_t layer = 0; layer < config_.num_hidden_layers; ++layer) {
      const std::string prefix = absl::StrCat("model.layers.", layer, ".");
      const std::vector<Vector> attention = Attention(prefix, x);
      for (size_t t = 0; t < x.size(); ++t) {
        Add(1, attention[t], &x[t]);
        const Vector normed = Norm(x[t], prefix + "post_attention_layernorm.weight");
        Add(1,
            config_.IsMoeLayer(layer) ? Experts(prefix + "mlp.", normed)
                                      : Mlp(prefix + "mlp.", normed),
            &x[t]);
      }
    }
    std::vector<Vector> logits;
    for (const Vector& row : x) {
      logits.push_back(
          Linear(config_.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight",
                 Norm(row, "model.norm.weight")));
    }
    return logits;
  }

 private:
  absl::Span<const float> Tensor(const std::string& name) const {
    const auto tensor = model_.weights->F32(name);
    PONDER_CHECK(tensor.ok(), tensor.status().message());
    return *tensor;
  }
  static void Add(double scale, const Vector& x, Vector* y) {
    for (size_t i = 0; i < x.size(); ++i) (*y)[i] += scale * x[i];
  }
  static double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

  Vector Linear(const std::string& name, const Vector& x) const {
    const auto weight = Tensor(name);  // [out, in]
    Vector y(weight.size() / x.size());
    for (size_t o = 0; o < y.size(); ++o) {
      for (size_t i = 0; i < x.size(); ++i) y[o] += weight[o * x.size() + i] * x[i];
    }
    return y;
  }

  Vector Norm(const Vector& x, const std::string& name) const {
    const auto weight = Tensor(name);
    double squares = 0;
    for (double value : x) squares += value * value;
    const double rms = std::sqrt(squares / static_cast<double>(x.size()) + config_.rms_norm_eps);
    Vector y(x.size());
    for (size_t i = 0; i < x.size(); ++i) y[i] = x[i] / rms * weight[i];
    return y;
  }

  // The heads of `projection` of one token: normed if the model does so, rotated to `position`
  // unless it is v.
  std::vector<Vector> Heads(const Vector& flat, const std::string& norm, double position) const {
    const size_t d = static_cast<size_t>(config_.head_dim);
    std::vector<Vector> heads;
    for (size_t at = 0; at < flat.size(); at += d) {
      const auto begin = flat.begin() + static_cast<ptrdiff_t>(at);
      Vector head(begin, begin + config_.head_dim);
      if (!norm.empty()) {
        if (config_.qk_norm != QkNorm::kNone) head = Norm(head, norm);
        for (size_t i = 0; i < d / 2; ++i) {
          const double frequency =
              std::pow(config_.rope_theta, -2.0 * static_cast<double>(i) / static_cast<double>(d));
          const double angle = position * frequency;
          const double a = head[i], b = head[i + d / 2];
          head[i] = a * std::cos(angle) - b * std::sin(angle);
          head[i + d / 2] = b * std::cos(angle) + a * std::sin(angle);
        }
      }
      heads.push_back(head);
    }
    return heads;
  }

  std::vector<Vector> Attention(const std::string& prefix, const std::vector<Vector>& x) const {
    const std::string attn = prefix + "self_attn.";
    const size_t group =
        static_cast<size_t>(config_.num_attention_heads / config_.num_key_value_heads);
    std::vector<std::vector<Vector>> keys, values;
    std::vector<Vector> out;
    for (size_t t = 0; t < x.size(); ++t) {
      const Vector normed = Norm(x[t], prefix + "input_layernorm.weight");
      const double position = static_cast<double>(t);
      const auto queries =
          Heads(Linear(attn + "q_proj.weight", normed), attn + "q_norm.weight", position);
      keys.push_back(
          Heads(Linear(attn + "k_proj.weight", normed), attn + "k_norm.weight", position));
      values.push_back(Heads(Linear(attn + "v_proj.weight", normed), "", position));
      Vector attended;
      for (size_t head = 0; head < queries.size(); ++head) {
        Vector scores;
        for (size_t s = 0; s <= t; ++s) {
          const Vector& key = keys[s][head / group];
          scores.push_back(std::inner_product(key.begin(), key.end(), queries[head].begin(), 0.0) /
                           std::sqrt(static_cast<double>(config_.head_dim)));
        }
        const double top = *std::max_element(scores.begin(), scores.end());
        double sum = 0;
        for (double& score : scores) sum += score = std::exp(score - top);
        Vector mixed(queries[head].size());
        for (size_t s = 0; s <= t; ++s) Add(scores[s] / sum, values[s][head / group], &mixed);
        attended.insert(attended.end(), mixed.begin(), mixed.end());
      }
      out.push_back(Linear(attn + "o_proj.weight", attended));
    }
    return out;
  }

  Vector Mlp(const std::string& prefix, const Vector& x) const {
    Vector gate = Linear(prefix + "gate_proj.weight", x);
    const Vector up = Linear(prefix + "up_proj.weight", x);
    for (size_t i = 0; i < gate.size(); ++i) gate[i] *= Sigmoid(gate[i]) * up[i];
    return Linear(prefix + "down_proj.weight", gate);
  }

  Vector Experts(const std::string& prefix, const Vector& x) const {
    Vector scores = Linear(prefix + "gate.weight", x);
    if (config_.scoring_func == "sigmoid") {
      for (double& score : scores) score = Sigmoid(score);
    } else {
      const double top = *std::max_element(scores.begin(), scores.end());
      double sum = 0;
      for (double& score : scores) sum += score = std::exp(score - top);
      for (double& score : scores) score /= sum;
    }
    std::vector<size_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return scores[a] > scores[b]; });
    order.resize(static_cast<size_t>(config_.num_experts_per_tok));
    double chosen = 0;
    for (size_t expert : order) chosen += scores[expert];
    Vector y(x.size());
    for (size_t expert : order) {
      const double weight = config_.norm_topk_prob ? scores[expert] / chosen : scores[expert];
      Add(weight, Mlp(absl::StrCat(prefix, "experts.", expert, "."), x), &y);
    }
    if (config_.shared_expert_intermediate_size > 0) {
      Add(Sigmoid(Linear(prefix + "shared_expert_gate.weight", x)[0]),
          Mlp(prefix + "shared_expert.", x), &y);
    }
    return y;
  }

  const Model& model_;
  const ModelConfig& config_;
};

}  // namespace

std::vector<std::vector<double>> ReferenceLogits(const Model& model,
                                                 absl::Span<const int32_t> tokens) {
  return Reference(model).Logits(tokens);
}

double ReferenceLogprob(const std::vector<double>& logits, int32_t token, double temperature) {
  const double scale = temperature > 0 ? temperature : 1;
  const double top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (double logit : logits) sum += std::exp((logit - top) / scale);
  return (logits[static_cast<size_t>(token)] - top) / scale - std::log(sum);
}

Model RandomModel(const ModelConfig& config, uint64_t seed) {
  ModelConfig wide = config;
  wide.initializer_range = 0.3;
  const auto weights = InitWeights(wide, seed);
  WeightManifest manifest = weights->manifest();
  auto blob = std::make_shared<std::vector<uint8_t>>(*weights->blob());
  Rng rng(seed, "norms");
  for (const TensorSpec& tensor : manifest.tensors) {
    if (tensor.shape.size() != 1) continue;
    float* values = reinterpret_cast<float*>(blob->data() + tensor.begin);
    for (int64_t i = 0; i < tensor.shape[0]; ++i)
      values[i] = static_cast<float>(0.5 + rng.NextUniform());
  }
  ComputeChecksums(*blob, &manifest);
  return Model{wide, *Weights::Make(std::move(manifest), std::move(blob))};
}

}  // namespace ponder::moe
