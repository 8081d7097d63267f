// See parameter_store.h.
#include "moe/layers/parameter_store.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"

namespace ponder::moe {
namespace {

constexpr absl::string_view kExperts = ".mlp.experts.";

// The expert that a tensor belongs to, or -1.
int64_t ExpertOf(absl::string_view name) {
  const size_t at = name.find(kExperts);
  if (at == absl::string_view::npos) return -1;
  name.remove_prefix(at + kExperts.size());
  int64_t expert = -1;
  PONDER_CHECK(absl::SimpleAtoi(name.substr(0, name.find('.')), &expert), name);
  return expert;
}

int64_t Elements(const TensorSpec& spec) {
  int64_t n = 1;
  for (int64_t size : spec.shape) n *= size;
  return n;
}

}  // namespace

ParameterStore::ParameterStore(const ModelConfig& config, ExpertShard shard, bool frozen)
    : layout_(config.Layout(DType::kF32)) {
  const auto owned = [&](int64_t expert) {
    return expert < 0 || (expert >= shard.first && expert < shard.first + shard.count);
  };
  const auto trains = [&](const TensorSpec& spec) {
    return !frozen || spec.name == kScalarHeadWeight;
  };
  int64_t sizes[2] = {0, 0}, trained[2] = {0, 0};
  for (const TensorSpec& spec : layout_.tensors) {
    const int64_t expert = ExpertOf(spec.name);
    if (!owned(expert)) continue;
    sizes[expert >= 0] += Elements(spec);
    if (trains(spec)) trained[expert >= 0] += Elements(spec);
  }
  for (Flat* flat : {&replicated_, &expert_}) {
    flat->weights = at::zeros({sizes[flat == &expert_]}, at::kFloat);
    flat->gradients = at::zeros({trained[flat == &expert_]}, at::kFloat);
  }
  int64_t offsets[2] = {0, 0}, gradient_offsets[2] = {0, 0};
  for (const TensorSpec& spec : layout_.tensors) {
    const bool is_expert = ExpertOf(spec.name) >= 0;
    if (!owned(ExpertOf(spec.name))) continue;
    const Flat& flat = is_expert ? expert_ : replicated_;
    const int64_t size = Elements(spec);
    const auto view = [&](const at::Tensor& all, int64_t& offset) {
      offset += size;
      return all.narrow(0, offset - size, size).view(spec.shape).detach();
    };
    Parameter parameter{spec.name, view(flat.weights, offsets[is_expert]), is_expert};
    if (trains(spec)) {
      parameter.tensor.set_requires_grad(true);
      parameter.tensor.mutable_grad() = view(flat.gradients, gradient_offsets[is_expert]);
    }
    index_[spec.name] = parameters_.size();
    parameters_.push_back(std::move(parameter));
    adapters_.push_back(std::make_unique<LowRank>());
  }
}

ParameterView ParameterStore::View(absl::string_view name) const {
  const auto found = index_.find(std::string(name));
  PONDER_CHECK(found != index_.end(), "no parameter ", name);
  const at::Tensor& tensor = parameters_[found->second].tensor;
  return {tensor.data_ptr<float>(),
          tensor.grad().defined() ? tensor.grad().data_ptr<float>() : nullptr, tensor.sizes().vec(),
          adapters_[found->second].get()};
}

LowRank& ParameterStore::adapter(absl::string_view name) {
  const auto found = index_.find(std::string(name));
  PONDER_CHECK(found != index_.end(), "no parameter ", name);
  return *adapters_[found->second];
}

absl::Span<float> ParameterStore::gradients(bool expert) {
  at::Tensor& flat = (expert ? expert_ : replicated_).gradients;
  return absl::MakeSpan(flat.data_ptr<float>(), flat.numel());
}

absl::Span<const float> ParameterStore::weights(bool expert) const {
  const at::Tensor& flat = (expert ? expert_ : replicated_).weights;
  return absl::MakeConstSpan(flat.data_ptr<float>(), flat.numel());
}

absl::Status ParameterStore::Load(const Weights& weights) {
  for (const Parameter& parameter : parameters_) {
    const absl::Span<float> values(parameter.tensor.data_ptr<float>(), parameter.tensor.numel());
    PONDER_RETURN_IF_ERROR(weights.CopyF32(parameter.name, values));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const Weights>> ParameterStore::Export(
    int64_t version, comm::Group* expert_group) const {
  const absl::Span<const float> replicated = weights(false);
  absl::Span<const float> experts = weights(true);
  const int ranks = expert_group == nullptr ? 1 : expert_group->size();
  std::vector<float> gathered;  // [ranks, experts.size()]
  const int64_t shard_size = experts.size();
  if (ranks > 1) {
    gathered.resize(shard_size * ranks);
    PONDER_RETURN_IF_ERROR(
        Annotate(expert_group->AllGather(
                     absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(experts.data()),
                                         experts.size() * sizeof(float)),
                     absl::MakeSpan(reinterpret_cast<uint8_t*>(gathered.data()),
                                    gathered.size() * sizeof(float))),
                 "gathering the experts for export"));
    experts = gathered;
  }
  // Each rank's shard holds its experts in the order of the layout, so a cursor a rank walks them
  // all.
  std::vector<int64_t> expert_cursor(ranks);
  for (int r = 0; r < ranks; ++r) expert_cursor[r] = r * shard_size;
  int64_t num_experts = 0;
  for (const TensorSpec& spec : layout_.tensors)
    num_experts = std::max(num_experts, ExpertOf(spec.name) + 1);

  WeightManifest manifest = layout_;
  manifest.version = version;
  auto blob = std::make_shared<std::vector<uint8_t>>(manifest.total_bytes);
  int64_t replicated_cursor = 0;
  for (const TensorSpec& spec : manifest.tensors) {
    const int64_t expert = ExpertOf(spec.name);
    int64_t& cursor = expert < 0 ? replicated_cursor : expert_cursor[expert * ranks / num_experts];
    const float* source = (expert < 0 ? replicated : experts).data() + cursor;
    std::memcpy(blob->data() + spec.begin, source, spec.end - spec.begin);
    cursor += Elements(spec);
  }
  ComputeChecksums(*blob, &manifest);
  return Weights::Make(std::move(manifest), std::move(blob));
}

}  // namespace ponder::moe
