#include "learner/lora.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/check.h"
#include "base/philox.h"
#include "base/status.h"
#include "learner/tensor_file.h"
#include "moe/families/family.h"
#include "nlohmann/json.hpp"

namespace ponder::learner {
namespace {

constexpr char kModelFile[] = "adapter_model.safetensors";
constexpr char kConfigFile[] = "adapter_config.json";

// "q_proj" of "model.layers.0.self_attn.q_proj.weight"; "" of what is no matrix's weight.
std::string LastName(const std::string& parameter) {
  const std::vector<std::string> parts = absl::StrSplit(parameter, '.');
  return parts.size() >= 2 && parts.back() == "weight" ? parts[parts.size() - 2] : "";
}

}  // namespace

absl::StatusOr<std::unique_ptr<LoraAdapters>> LoraAdapters::Make(const Options& options,
                                                                 moe::Decoder& decoder) {
  PONDER_CHECK(decoder.frozen(), "adapters change a decoder that is frozen itself");
  std::unique_ptr<LoraAdapters> lora(new LoraAdapters(options, decoder));
  std::set<std::string> unused(options.targets.begin(), options.targets.end());
  for (const moe::Parameter& parameter : decoder.parameters()) {
    const std::string last = LastName(parameter.name);
    if (!absl::c_linear_search(options.targets, last) || parameter.tensor.dim() != 2) continue;
    unused.erase(last);
    const int64_t out = parameter.tensor.size(0), in = parameter.tensor.size(1);
    if (options.rank < 1 || options.rank >= std::min(in, out)) {
      return absl::InvalidArgumentError(absl::StrCat("LoRA: rank ", options.rank, " is not below ",
                                                     std::min(in, out), ", the rank of ",
                                                     parameter.name, " [", out, ", ", in, "]"));
    }
    const std::string file_name = moe::FileNameOf(decoder.config(), parameter.name);
    const std::string module =
        absl::StrCat("base_model.model.", absl::StripSuffix(file_name, ".weight"));
    at::Tensor a = at::empty({options.rank, in});
    // Kaiming uniform with a = sqrt(5), as PEFT and torch::nn::Linear begin.
    const double bound = 1 / std::sqrt(static_cast<double>(in));
    Rng rng(options.seed, absl::StrCat("lora.", parameter.name));
    for (int64_t i = 0; i < a.numel(); ++i) {
      a.data_ptr<float>()[i] = static_cast<float>((2 * rng.NextUniform() - 1) * bound);
    }
    lora->adapters_.push_back(
        {parameter, parameter.tensor.detach().clone(), lora->parameters_.size()});
    lora->parameters_.push_back({absl::StrCat(module, ".lora_A.weight"), std::move(a), false});
    lora->parameters_.push_back(
        {absl::StrCat(module, ".lora_B.weight"), at::zeros({out, options.rank}), false});
  }
  lora->MakeGradients();
  for (const moe::Parameter& parameter : decoder.parameters()) {
    if (parameter.name != moe::kScalarHeadWeight) continue;
    // It starts from nothing: trained whole, as PEFT's modules_to_save.
    lora->parameters_.push_back(
        {absl::StrCat("base_model.model.", parameter.name), parameter.tensor, false});
  }
  if (!unused.empty() || lora->adapters_.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("LoRA: the model has no matrix called ",
                                                   absl::StrJoin(unused, " or "),
                                                   "; see learner.lora.targets"));
  }
  return lora;
}

void LoraAdapters::MakeGradients() {
  gradients_ = at::zeros({trained()});
  int64_t offset = 0;
  for (moe::Parameter& parameter : parameters_) {
    const int64_t size = parameter.tensor.numel();
    parameter.tensor.set_requires_grad(true);
    parameter.tensor.mutable_grad() =
        gradients_.narrow(0, offset, size).view(parameter.tensor.sizes());
    offset += size;
  }
  for (const Adapter& adapter : adapters_) {
    const at::Tensor& a = parameters_[adapter.a].tensor;
    const at::Tensor& b = parameters_[adapter.a + 1].tensor;
    decoder_.Adapt(adapter.target.name,
                   {a.data_ptr<float>(), b.data_ptr<float>(), a.grad().data_ptr<float>(),
                    b.grad().data_ptr<float>(), options_.rank, static_cast<float>(scale())});
  }
}

absl::Span<float> LoraAdapters::gradients() {
  return absl::MakeSpan(gradients_.data_ptr<float>(), gradients_.numel());
}

void LoraAdapters::ZeroGradients() { gradients_.zero_(); }

int64_t LoraAdapters::trained() const {
  int64_t count = 0;
  for (const moe::Parameter& parameter : parameters_) count += parameter.tensor.numel();
  return count;
}

int64_t LoraAdapters::all() const {
  int64_t count = 0;
  for (const moe::Parameter& parameter : decoder_.parameters()) count += parameter.tensor.numel();
  return count;
}

void LoraAdapters::Merge() {
  const at::NoGradGuard no_grad;
  for (const Adapter& adapter : adapters_) {
    const at::Tensor& a = parameters_[adapter.a].tensor;
    const at::Tensor& b = parameters_[adapter.a + 1].tensor;
    at::Tensor merged = adapter.target.tensor.detach();
    merged.copy_(adapter.base + b.mm(a) * scale());
  }
}

moe::FolderFiles LoraAdapters::Files() const {
  std::vector<NamedTensor> tensors;
  for (const moe::Parameter& parameter : parameters_) {
    tensors.push_back({parameter.name, parameter.tensor.detach()});
  }
  const bool scalar_head = decoder_.config().scalar_head;
  const nlohmann::ordered_json config = {
      {"peft_type", "LORA"},
      {"task_type", scalar_head ? "SEQ_CLS" : "CAUSAL_LM"},
      {"base_model_name_or_path", options_.base_model},
      {"r", options_.rank},
      {"lora_alpha", options_.alpha},
      {"target_modules", TargetNames()},
      {"lora_dropout", 0.0},
      {"bias", "none"},
      {"fan_in_fan_out", false},
      {"inference_mode", true},
      {"init_lora_weights", true},
      {"use_rslora", false},
      {"use_dora", false},
      {"modules_to_save",
       scalar_head ? nlohmann::ordered_json::array({"score"}) : nlohmann::ordered_json()}};
  return {{kModelFile, TensorFile(tensors)}, {kConfigFile, config.dump(2) + "\n"}};
}

// As the family's files call them.
std::vector<std::string> LoraAdapters::TargetNames() const {
  std::set<std::string> names;
  for (const Adapter& adapter : adapters_) {
    names.insert(LastName(moe::FileNameOf(decoder_.config(), adapter.target.name)));
  }
  return {names.begin(), names.end()};
}

moe::FolderFile LoraAdapters::OptimizerFile(AdamW& optimizer) const {
  std::vector<NamedTensor> tensors;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const AdamW::Moments& moments = optimizer.moments()[i];
    tensors.push_back({absl::StrCat("exp_avg.", parameters_[i].name), moments.exp_avg});
    tensors.push_back({absl::StrCat("exp_avg_sq.", parameters_[i].name), moments.exp_avg_sq});
  }
  return TensorFile(tensors);
}

absl::Status LoraAdapters::Load(const std::string& folder, AdamW* optimizer) {
  std::vector<NamedTensor> tensors;
  for (const moe::Parameter& parameter : parameters_) {
    tensors.push_back({parameter.name, parameter.tensor.detach()});
  }
  PONDER_RETURN_IF_ERROR(ReadTensorFile(folder, kModelFile, tensors));
  if (optimizer != nullptr) {
    std::vector<NamedTensor> moments;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      const AdamW::Moments& of = optimizer->moments()[i];
      moments.push_back({absl::StrCat("exp_avg.", parameters_[i].name), of.exp_avg});
      moments.push_back({absl::StrCat("exp_avg_sq.", parameters_[i].name), of.exp_avg_sq});
    }
    PONDER_RETURN_IF_ERROR(ReadTensorFile(folder, kOptimizerFile, moments));
  }
  Merge();
  decoder_.WeightsChanged();
  return absl::OkStatus();
}

}  // namespace ponder::learner
