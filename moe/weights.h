// Weights: one immutable version of a model's parameters: a manifest, and bytes in memory or in
// mapped files. Shared, never copied.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/types.h"
#include "moe/mapped_file.h"
#include "moe/model_config.h"

namespace ponder::moe {

// Where a tensor's bytes lie. With scales, the elements are F8_E4M3, one byte each, that read as
// float32 (and the manifest says F32): a float32 factor for each block of block_rows x
// block_columns elements, scales [ceil(rows / block_rows), ceil(columns / block_columns)].
struct TensorBytes {
  absl::Span<const uint8_t> data;
  absl::Span<const uint8_t> scales;
  int64_t block_rows = 0;
  int64_t block_columns = 0;
  // Of tensors in a mapped file: its path, the name there, and the checksums that it was written
  // with, where they are known.
  const MappedFile* file = nullptr;
  absl::string_view path;
  absl::string_view name;
  std::optional<uint32_t> crc32;
  std::optional<uint32_t> scales_crc32;

  bool is_fp8() const { return block_rows > 0; }
  // "PATH: tensor NAME", for messages.
  std::string what() const;
};

class Weights {
 public:
  // Checks that the manifest covers `blob`: every byte belongs to one tensor, aligned to its
  // elements.
  static absl::StatusOr<std::shared_ptr<const Weights>> Make(
      WeightManifest manifest, std::shared_ptr<const std::vector<uint8_t>> blob);
  // One of `places` for each tensor of the manifest, of the size that it asks for, at any
  // alignment; `owner` keeps them alive. The manifest's ranges are set as if they lay one after
  // another; the checksums are those of the places.
  static absl::StatusOr<std::shared_ptr<const Weights>> InPlace(WeightManifest manifest,
                                                                std::vector<TensorBytes> places,
                                                                std::shared_ptr<const void> owner);

  const WeightManifest& manifest() const { return manifest_; }
  // Null for weights in place.
  const std::shared_ptr<const std::vector<uint8_t>>& blob() const { return blob_; }
  // Of the i-th tensor of the manifest, as they are stored; Check has not looked at them.
  absl::Span<const uint8_t> bytes(size_t i) const { return places_[i].data; }
  const TensorBytes& place(size_t i) const { return places_[i]; }
  // Of a tensor in a file: DataLoss, with its name and the file's, if it is not what was written.
  absl::Status Check(size_t i) const;
  // InvalidArgument: the i-th tensor is not of floats, or has another number of them.
  absl::Status CheckFloats(size_t i, int64_t elements) const;
  // The place in the manifest. NotFound names the tensor.
  absl::StatusOr<size_t> Find(absl::string_view name) const;
  // The tensor as float32. NotFound names it; InvalidArgument: another dtype, FP8, or in a file
  // where it is not aligned. DataLoss: see Check.
  absl::StatusOr<absl::Span<const float>> F32(absl::string_view name) const;
  // Converts the tensor, of any float dtype, to float32. InvalidArgument: it has another number of
  // elements. DataLoss: see Check. What is large is read by moe/tensor_reader.h.
  absl::Status CopyF32(absl::string_view name, absl::Span<float> out) const;
  // Compares every tensor's bytes with its crc32, where it is known. DataLoss names the first that
  // differs.
  absl::Status VerifyChecksums() const;
  // Every tensor of `config.Layout()` is there with its shape, and no other.
  absl::Status MatchesConfig(const ModelConfig& config) const;

 private:
  Weights(WeightManifest manifest, std::vector<TensorBytes> places);

  WeightManifest manifest_;
  std::vector<TensorBytes> places_;
  std::shared_ptr<const std::vector<uint8_t>> blob_;
  std::shared_ptr<const void> owner_;
  std::unordered_map<std::string, size_t> index_;  // name -> place in manifest_.tensors
};

// A random model: normal with initializer_range for matrices, 1 for norms, 0 for biases; a pure
// function of (config, seed).
std::shared_ptr<const Weights> InitWeights(const ModelConfig& config, uint64_t seed);

// The same tensors as float32: `weights` itself where they are, else a converted copy.
absl::StatusOr<std::shared_ptr<const Weights>> AsFloat32(std::shared_ptr<const Weights> weights);

// Fills in the crc32 of each tensor from the blob.
void ComputeChecksums(absl::Span<const uint8_t> blob, WeightManifest* manifest);

}  // namespace ponder::moe
