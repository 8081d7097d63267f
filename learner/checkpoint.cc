#include "learner/checkpoint.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/atomic_file.h"
#include "base/check.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace ponder::learner {
namespace {

namespace fs = std::filesystem;

constexpr absl::string_view kMoments[] = {"exp_avg.", "exp_avg_sq."};
constexpr char kStateFile[] = "state.json";
constexpr char kOptimizerFile[] = "optimizer.safetensors";
constexpr char kValueFile[] = "value.safetensors";
constexpr char kValueOptimizerFile[] = "value_optimizer.safetensors";
constexpr char kValueHeadFile[] = "value_head.safetensors";

// The expert of "model.layers.3.mlp.experts.5.up_proj.weight" (5), or -1.
int64_t ExpertOf(absl::string_view name) {
  const std::vector<absl::string_view> parts = absl::StrSplit(name, '.');
  int64_t expert = -1;
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    if (parts[i] == "experts" && absl::SimpleAtoi(parts[i + 1], &expert)) return expert;
  }
  return -1;
}

at::Tensor& MomentOf(AdamW::Moments& moments, size_t which) {
  return which == 0 ? moments.exp_avg : moments.exp_avg_sq;
}

// The names of the expert tensors that each rank of the expert group owns, in the order of its
// parameters.
std::vector<std::vector<const TensorSpec*>> ExpertOwners(const WeightManifest& layout,
                                                         int64_t num_experts, int ranks) {
  std::vector<std::vector<const TensorSpec*>> owners(ranks);
  for (const TensorSpec& spec : layout.tensors) {
    const int64_t expert = ExpertOf(spec.name);
    if (expert >= 0) owners[expert / (num_experts / ranks)].push_back(&spec);
  }
  return owners;
}

int64_t Elements(const TensorSpec& spec) {
  return static_cast<int64_t>((spec.end - spec.begin) / sizeof(float));
}

// One kind of moment of all parameters, as a blob in the order of the model's layout. Collective
// over the expert group.
absl::StatusOr<std::vector<float>> GatherMoments(const moe::Decoder& decoder, AdamW& optimizer,
                                                 comm::Group& expert_group, size_t which) {
  const WeightManifest layout = decoder.config().Layout();
  std::vector<float> blob(layout.total_bytes / sizeof(float));
  std::map<absl::string_view, const TensorSpec*> spec_of;
  for (const TensorSpec& spec : layout.tensors) spec_of[spec.name] = &spec;

  std::vector<float> mine;
  const absl::Span<const moe::Parameter> parameters = decoder.parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    const at::Tensor& moment = MomentOf(optimizer.moments()[i], which);
    const float* values = moment.data_ptr<float>();
    if (parameters[i].expert) {
      mine.insert(mine.end(), values, values + moment.numel());
    } else {
      const TensorSpec& spec = *spec_of.at(parameters[i].name);
      std::copy(values, values + moment.numel(), blob.begin() + spec.begin / sizeof(float));
    }
  }
  std::vector<float> all(mine.size() * static_cast<size_t>(expert_group.size()));
  PONDER_RETURN_IF_ERROR(expert_group.AllGather(
      absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(mine.data()),
                          mine.size() * sizeof(float)),
      absl::MakeSpan(reinterpret_cast<uint8_t*>(all.data()), all.size() * sizeof(float))));
  auto from = all.begin();
  for (const auto& owned :
       ExpertOwners(layout, decoder.config().num_experts, expert_group.size())) {
    for (const TensorSpec* spec : owned) {
      std::copy(from, from + Elements(*spec), blob.begin() + spec->begin / sizeof(float));
      from += Elements(*spec);
    }
  }
  PONDER_CHECK(from == all.end(), "an expert's moments were left over");
  return blob;
}

// Both moments as one set of tensors: the model's layout twice, with prefixed names.
absl::StatusOr<std::shared_ptr<const moe::Weights>> OptimizerTensors(const moe::Decoder& decoder,
                                                                     AdamW& optimizer,
                                                                     const Mesh& mesh) {
  const WeightManifest layout = decoder.config().Layout();
  WeightManifest manifest;
  auto blob = std::make_shared<std::vector<uint8_t>>(2 * layout.total_bytes);
  manifest.total_bytes = blob->size();
  for (size_t which = 0; which < 2; ++which) {
    PONDER_ASSIGN_OR_RETURN(const std::vector<float> moments,
                            GatherMoments(decoder, optimizer, *mesh.expert, which));
    const uint64_t offset = which * layout.total_bytes;
    std::memcpy(blob->data() + offset, moments.data(), layout.total_bytes);
    for (TensorSpec spec : layout.tensors) {
      spec.name = absl::StrCat(kMoments[which], spec.name);
      spec.begin += offset;
      spec.end += offset;
      manifest.tensors.push_back(std::move(spec));
    }
  }
  moe::ComputeChecksums(*blob, &manifest);
  return moe::Weights::Make(std::move(manifest), std::move(blob));
}

// Folders "step-000123" below `folder`, oldest first.
absl::StatusOr<std::vector<std::string>> ListCheckpoints(const std::string& folder) {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    int64_t step = 0;
    if (absl::StartsWith(name, "step-") && absl::SimpleAtoi(name.substr(5), &step)) {
      found.push_back(it->path().string());
    }
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return ErrnoStatus(error.value(), absl::StrCat("can't list ", folder));
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

absl::Status SaveTraining(const std::string& folder, const TrainState& state, moe::Decoder& decoder,
                          AdamW& optimizer, const Mesh& mesh, int64_t keep,
                          const moe::Carried& carried, ValueModel* value, const LoraAdapters* lora,
                          SharedValue* shared_value) {
  PONDER_ASSIGN_OR_RETURN(auto weights, decoder.Export(state.version));
  std::shared_ptr<const moe::Weights> moments;
  if (lora == nullptr) {
    PONDER_ASSIGN_OR_RETURN(moments, OptimizerTensors(decoder, optimizer, mesh));
  }
  std::shared_ptr<const moe::Weights> value_weights, value_moments;
  if (value != nullptr) {
    PONDER_ASSIGN_OR_RETURN(value_weights, value->decoder().Export(state.version));
    PONDER_ASSIGN_OR_RETURN(value_moments,
                            OptimizerTensors(value->decoder(), value->optimizer(), mesh));
  }
  if (mesh.world->rank() != 0) return absl::OkStatus();
  nlohmann::ordered_json json = {{"step", state.step},
                                 {"version", state.version},
                                 {"next_group_id", state.next_group_id},
                                 {"optimizer_step", state.optimizer_step},
                                 {"value_step", state.value_step}};
  if (!state.curriculum.empty()) {
    json["curriculum"] = nlohmann::ordered_json::parse(state.curriculum);
  }
  for (const auto& [source, moments] : state.rewards) {
    json["rewards"][source] = {
        {"count", moments.count}, {"mean", moments.mean}, {"variance", moments.variance}};
  }
  PONDER_RETURN_IF_ERROR(MakeFolder(folder));
  moe::FolderFiles files = moe::ModelFiles({decoder.config(), std::move(weights)}, carried);
  if (lora == nullptr) {
    files[kOptimizerFile] = moe::TensorsFile(moments);
  } else {
    files.merge(lora->Files());
    files[LoraAdapters::kOptimizerFile] = lora->OptimizerFile(optimizer);
  }
  if (value != nullptr) {
    files[kValueFile] = moe::TensorsFile(value_weights);
    files[kValueOptimizerFile] = moe::TensorsFile(value_moments);
  }
  if (shared_value != nullptr) files[kValueHeadFile] = shared_value->File();
  files[kStateFile] = json.dump(2) + "\n";
  PONDER_RETURN_IF_ERROR(moe::WriteCheckedFolder(
      absl::StrCat(folder, "/", absl::StrFormat("step-%06d", state.step)), files));
  PONDER_ASSIGN_OR_RETURN(const std::vector<std::string> all, ListCheckpoints(folder));
  for (size_t i = 0; i + static_cast<size_t>(keep) < all.size(); ++i) {
    std::error_code error;
    fs::remove_all(all[i], error);
    if (error) return ErrnoStatus(error.value(), absl::StrCat("can't delete ", all[i]));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::string>> NewestCheckpoint(const std::string& folder) {
  PONDER_ASSIGN_OR_RETURN(const std::vector<std::string> all, ListCheckpoints(folder));
  if (all.empty()) return std::nullopt;
  return all.back();
}

absl::StatusOr<TrainState> LoadTrainState(const std::string& checkpoint) {
  const std::string path = absl::StrCat(checkpoint, "/", kStateFile);
  PONDER_ASSIGN_OR_RETURN(const std::string text, moe::ReadCheckedFile(checkpoint, kStateFile));
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  TrainState state;
  for (const auto& [key, value] : {std::pair<const char*, int64_t*>{"step", &state.step},
                                   {"version", &state.version},
                                   {"next_group_id", &state.next_group_id},
                                   {"optimizer_step", &state.optimizer_step},
                                   {"value_step", &state.value_step}}) {
    if (!json.is_object() || !json.contains(key) || !json[key].is_number_integer()) {
      return absl::DataLossError(absl::StrCat(path, ": no whole number under \"", key,
                                              "\"; resume from an older checkpoint"));
    }
    *value = json[key].get<int64_t>();
  }
  if (json.contains("curriculum")) state.curriculum = json["curriculum"].dump();
  if (!json.contains("rewards")) return state;
  try {
    for (const auto& [source, moments] : json["rewards"].items()) {
      reward::RunningMoments& of_source = state.rewards[source];
      moments.at("count").get_to(of_source.count);
      moments.at("mean").get_to(of_source.mean);
      moments.at("variance").get_to(of_source.variance);
    }
  } catch (const nlohmann::json::exception& error) {
    return absl::DataLossError(
        absl::StrCat(path, ": \"rewards\": ", error.what(), "; resume from an older checkpoint"));
  }
  return state;
}

namespace {

absl::Status LoadMoments(const std::string& folder, const std::string& file,
                         const moe::Decoder& decoder, AdamW* optimizer) {
  PONDER_ASSIGN_OR_RETURN(const auto tensors, moe::OpenTensors(folder, file));
  const std::string path = absl::StrCat(folder, "/", file);
  const absl::Span<const moe::Parameter> parameters = decoder.parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    for (size_t which = 0; which < 2; ++which) {
      const std::string name = absl::StrCat(kMoments[which], parameters[i].name);
      at::Tensor& moment = MomentOf(optimizer->moments()[i], which);
      const absl::Status status = tensors->CopyF32(
          name, absl::MakeSpan(moment.data_ptr<float>(), static_cast<size_t>(moment.numel())));
      if (absl::IsDataLoss(status)) return status;  // names the file
      if (!status.ok()) return Annotate(status, path);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status LoadOptimizer(const std::string& checkpoint, const moe::Decoder& decoder,
                           AdamW* optimizer) {
  return LoadMoments(checkpoint, kOptimizerFile, decoder, optimizer);
}

absl::Status LoadValueModel(const std::string& checkpoint, ValueModel* value) {
  PONDER_ASSIGN_OR_RETURN(const auto weights, moe::OpenTensors(checkpoint, kValueFile));
  PONDER_RETURN_IF_ERROR(Annotate(value->decoder().Load(*weights), kValueFile));
  return LoadMoments(checkpoint, kValueOptimizerFile, value->decoder(), &value->optimizer());
}

absl::Status LoadSharedValue(const std::string& checkpoint, SharedValue* value) {
  return value->Load(checkpoint, kValueHeadFile);
}

}  // namespace ponder::learner
