#include "moe/weights.h"

#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/atomic_file.h"
#include "base/check.h"
#include "base/philox.h"
#include "base/status.h"
#include "moe/checked_folder.h"
#include "moe/tensor_reader.h"

namespace ponder::moe {
namespace {

// Bytes that the tensor's shape asks for; an error if a dimension is negative or the product
// overflows.
absl::StatusOr<uint64_t> ShapeBytes(const TensorSpec& tensor) {
  uint64_t bytes = static_cast<uint64_t>(DTypeSize(tensor.dtype));
  for (int64_t dim : tensor.shape) {
    if (dim < 0 ||
        (dim > 0 && bytes > std::numeric_limits<int64_t>::max() / static_cast<uint64_t>(dim))) {
      return absl::InvalidArgumentError(absl::StrCat("tensor ", tensor.name,
                                                     " has an impossible shape [",
                                                     absl::StrJoin(tensor.shape, ", "), "]"));
    }
    bytes *= static_cast<uint64_t>(dim);
  }
  return bytes;
}

absl::string_view BytesOf(absl::Span<const uint8_t> blob, const TensorSpec& tensor) {
  return absl::string_view(reinterpret_cast<const char*>(blob.data()) + tensor.begin,
                           tensor.end - tensor.begin);
}

}  // namespace

std::string TensorBytes::what() const { return absl::StrCat(path, ": tensor ", name); }

Weights::Weights(WeightManifest manifest, std::vector<TensorBytes> places)
    : manifest_(std::move(manifest)), places_(std::move(places)) {
  for (size_t i = 0; i < manifest_.tensors.size(); ++i)
    index_.emplace(manifest_.tensors[i].name, i);
}

absl::StatusOr<std::shared_ptr<const Weights>> Weights::Make(
    WeightManifest manifest, std::shared_ptr<const std::vector<uint8_t>> blob) {
  if (manifest.total_bytes != blob->size()) {
    return absl::InvalidArgumentError(absl::StrCat("the manifest describes ", manifest.total_bytes,
                                                   " bytes of weights, but there are ",
                                                   blob->size()));
  }
  uint64_t at = 0;
  std::vector<TensorBytes> places;
  for (const TensorSpec& tensor : manifest.tensors) {
    PONDER_ASSIGN_OR_RETURN(const uint64_t bytes, ShapeBytes(tensor));
    if (tensor.begin != at || tensor.end < tensor.begin || tensor.end > blob->size()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "tensor ", tensor.name, " is at bytes [", tensor.begin, ", ", tensor.end, ") of ",
          blob->size(), ", where [", at, ", ...) is next: a gap, an overlap or a cut"));
    }
    if (tensor.end - tensor.begin != bytes) {
      return absl::InvalidArgumentError(absl::StrCat("tensor ", tensor.name, " has ",
                                                     tensor.end - tensor.begin,
                                                     " bytes, but its shape needs ", bytes));
    }
    if (tensor.begin % static_cast<uint64_t>(DTypeSize(tensor.dtype)) != 0) {
      return absl::InvalidArgumentError(absl::StrCat("tensor ", tensor.name, " begins at byte ",
                                                     tensor.begin,
                                                     ", not aligned to its elements"));
    }
    at = tensor.end;
    TensorBytes place;
    place.data = absl::MakeConstSpan(*blob).subspan(tensor.begin, bytes);
    places.push_back(place);
  }
  if (at != blob->size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the last ", blob->size() - at, " bytes belong to no tensor"));
  }
  auto weights = std::shared_ptr<Weights>(new Weights(std::move(manifest), std::move(places)));
  weights->blob_ = std::move(blob);
  if (weights->index_.size() != weights->manifest_.tensors.size()) {
    return absl::InvalidArgumentError("two tensors have the same name");
  }
  return weights;
}

absl::StatusOr<std::shared_ptr<const Weights>> Weights::InPlace(WeightManifest manifest,
                                                                std::vector<TensorBytes> places,
                                                                std::shared_ptr<const void> owner) {
  PONDER_CHECK(manifest.tensors.size() == places.size());
  manifest.total_bytes = 0;
  for (size_t i = 0; i < places.size(); ++i) {
    TensorSpec& tensor = manifest.tensors[i];
    PONDER_ASSIGN_OR_RETURN(const uint64_t bytes, ShapeBytes(tensor));
    if (places[i].data.size() != (places[i].is_fp8() ? bytes / sizeof(float) : bytes)) {
      return absl::InvalidArgumentError(absl::StrCat("tensor ", tensor.name, " has ",
                                                     places[i].data.size(),
                                                     " bytes, but its shape needs ", bytes));
    }
    tensor.begin = manifest.total_bytes;
    tensor.end = manifest.total_bytes += bytes;
  }
  auto weights = std::shared_ptr<Weights>(new Weights(std::move(manifest), std::move(places)));
  weights->owner_ = std::move(owner);
  if (weights->index_.size() != weights->manifest_.tensors.size()) {
    return absl::InvalidArgumentError("two tensors have the same name");
  }
  return weights;
}

absl::StatusOr<size_t> Weights::Find(absl::string_view name) const {
  const auto found = index_.find(std::string(name));
  if (found == index_.end()) return absl::NotFoundError(absl::StrCat("there is no tensor ", name));
  return found->second;
}

absl::Status Weights::Check(size_t i) const {
  const TensorBytes& place = places_[i];
  const auto check = [&](absl::Span<const uint8_t> bytes, const std::optional<uint32_t>& crc32) {
    if (!crc32.has_value()) return absl::OkStatus();
    return FolderChecksums::CheckBytes({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                                       *crc32, place.what());
  };
  PONDER_RETURN_IF_ERROR(check(place.data, place.crc32));
  return check(place.scales, place.scales_crc32);
}

absl::Status Weights::CheckFloats(size_t i, int64_t expected) const {
  const TensorSpec& tensor = manifest_.tensors[i];
  if (tensor.dtype == DType::kI64) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor ", tensor.name, " is ", DTypeName(tensor.dtype), ", not of floats"));
  }
  const uint64_t elements =
      (tensor.end - tensor.begin) / static_cast<uint64_t>(DTypeSize(tensor.dtype));
  if (elements == static_cast<uint64_t>(expected)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(tensor.name, ": ", elements, " elements in the weights, ", expected,
                   " in the model: the weights are of another config"));
}

absl::Status Weights::CopyF32(absl::string_view name, absl::Span<float> out) const {
  constexpr int64_t kBlock = 1 << 18;
  PONDER_ASSIGN_OR_RETURN(
      TensorReader reader,
      TensorReader::Open(*this, name, static_cast<int64_t>(out.size()), kBlock));
  for (int64_t i = 0; i < reader.blocks(); ++i) reader.Copy(i, out.data() + i * kBlock);
  return reader.Finish();
}

absl::StatusOr<absl::Span<const float>> Weights::F32(absl::string_view name) const {
  PONDER_ASSIGN_OR_RETURN(const size_t i, Find(name));
  const TensorSpec& tensor = manifest_.tensors[i];
  if (tensor.dtype != DType::kF32) {
    return absl::InvalidArgumentError(absl::StrCat("tensor ", name, " is ", DTypeName(tensor.dtype),
                                                   ", expected F32; convert the checkpoint"));
  }
  const uint8_t* data = places_[i].data.data();
  if (places_[i].is_fp8()) {
    return absl::InvalidArgumentError(absl::StrCat("tensor ", name, " is FP8, expected F32"));
  }
  if (reinterpret_cast<uintptr_t>(data) % alignof(float) != 0) {
    return absl::InvalidArgumentError(absl::StrCat("tensor ", name, " is not aligned in its file"));
  }
  PONDER_RETURN_IF_ERROR(Check(i));
  return absl::MakeConstSpan(reinterpret_cast<const float*>(data),
                             places_[i].data.size() / sizeof(float));
}

absl::Status Weights::VerifyChecksums() const {
  for (size_t i = 0; i < places_.size(); ++i) {
    const TensorSpec& tensor = manifest_.tensors[i];
    if (!places_[i].path.empty()) {
      PONDER_RETURN_IF_ERROR(Check(i));
      continue;
    }
    const uint32_t crc =
        Crc32({reinterpret_cast<const char*>(places_[i].data.data()), places_[i].data.size()});
    if (crc != tensor.crc32) {
      return absl::DataLossError(
          absl::StrCat("tensor ", tensor.name, " of version ", manifest_.version, " has checksum ",
                       absl::Hex(crc, absl::kZeroPad8), ", expected ",
                       absl::Hex(tensor.crc32, absl::kZeroPad8), "; fetch it again"));
    }
  }
  return absl::OkStatus();
}

absl::Status Weights::MatchesConfig(const ModelConfig& config) const {
  const WeightManifest layout = config.Layout();
  for (const TensorSpec& expected : layout.tensors) {
    const auto found = index_.find(expected.name);
    if (found == index_.end()) {
      return absl::InvalidArgumentError(absl::StrCat("tensor ", expected.name, " is missing"));
    }
    const TensorSpec& tensor = manifest_.tensors[found->second];
    if (tensor.shape != expected.shape) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor ", tensor.name, " has shape [", absl::StrJoin(tensor.shape, ", "),
                       "], the config asks for [", absl::StrJoin(expected.shape, ", "), "]"));
    }
  }
  if (manifest_.tensors.size() == layout.tensors.size()) return absl::OkStatus();
  std::unordered_map<std::string, size_t> known;
  for (const TensorSpec& expected : layout.tensors) known.emplace(expected.name, 0);
  for (const TensorSpec& tensor : manifest_.tensors) {
    if (known.count(tensor.name) == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor ", tensor.name, " is not part of the config's model"));
    }
  }
  return absl::InternalError("the manifest lists a tensor twice");
}

std::shared_ptr<const Weights> InitWeights(const ModelConfig& config, uint64_t seed) {
  WeightManifest manifest = config.Layout();
  auto blob = std::make_shared<std::vector<uint8_t>>(manifest.total_bytes);
  for (const TensorSpec& tensor : manifest.tensors) {
    float* values = reinterpret_cast<float*>(blob->data() + tensor.begin);
    const size_t count = (tensor.end - tensor.begin) / sizeof(float);
    const bool vector = tensor.shape.size() == 1;
    const float constant = absl::EndsWith(tensor.name, "bias") ? 0.0f : 1.0f;
    Rng rng(seed, absl::StrCat("init/", tensor.name));
    for (size_t i = 0; i < count; ++i) {
      values[i] =
          vector ? constant : static_cast<float>(config.initializer_range * rng.NextGaussian());
    }
  }
  ComputeChecksums(*blob, &manifest);
  auto weights = Weights::Make(std::move(manifest), std::move(blob));
  PONDER_CHECK(weights.ok(), weights.status().message());
  return *std::move(weights);
}

absl::StatusOr<std::shared_ptr<const Weights>> AsFloat32(std::shared_ptr<const Weights> weights) {
  WeightManifest manifest = weights->manifest();
  bool already = true;
  uint64_t at = 0;
  for (TensorSpec& tensor : manifest.tensors) {
    already = already && weights->F32(tensor.name).ok();
    const uint64_t elements =
        (tensor.end - tensor.begin) / static_cast<uint64_t>(DTypeSize(tensor.dtype));
    tensor.dtype = DType::kF32;
    tensor.begin = at;
    tensor.end = at += elements * sizeof(float);
  }
  if (already) return weights;
  manifest.total_bytes = at;
  auto blob = std::make_shared<std::vector<uint8_t>>(manifest.total_bytes);
  for (const TensorSpec& tensor : manifest.tensors) {
    const absl::Span<float> out(reinterpret_cast<float*>(blob->data() + tensor.begin),
                                (tensor.end - tensor.begin) / sizeof(float));
    PONDER_RETURN_IF_ERROR(weights->CopyF32(tensor.name, out));
  }
  ComputeChecksums(*blob, &manifest);
  return Weights::Make(std::move(manifest), std::move(blob));
}

void ComputeChecksums(absl::Span<const uint8_t> blob, WeightManifest* manifest) {
  for (TensorSpec& tensor : manifest->tensors) tensor.crc32 = Crc32(BytesOf(blob, tensor));
}

}  // namespace ponder::moe
