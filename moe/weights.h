// Weights: one immutable version of a model's parameters, as a manifest and one blob of bytes.
// Shared, never copied.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/types.h"
#include "moe/model_config.h"

namespace ponder::moe {

class Weights {
 public:
  // Checks that the manifest covers `blob`: every byte belongs to one tensor, aligned to its
  // elements.
  static absl::StatusOr<std::shared_ptr<const Weights>> Make(
      WeightManifest manifest, std::shared_ptr<const std::vector<uint8_t>> blob);

  const WeightManifest& manifest() const { return manifest_; }
  const std::shared_ptr<const std::vector<uint8_t>>& blob() const { return blob_; }
  // The tensor as float32. NotFound names it; InvalidArgument: another dtype.
  absl::StatusOr<absl::Span<const float>> F32(absl::string_view name) const;
  // Compares every tensor's bytes with its crc32. DataLoss names the first that differs.
  absl::Status VerifyChecksums() const;
  // Every tensor of `config.Layout()` is there with its shape, and no other.
  absl::Status MatchesConfig(const ModelConfig& config) const;

 private:
  Weights(WeightManifest manifest, std::shared_ptr<const std::vector<uint8_t>> blob);
  WeightManifest manifest_;
  std::shared_ptr<const std::vector<uint8_t>> blob_;
  std::unordered_map<std::string, size_t> index_;  // name -> place in manifest_.tensors
};

// A random model: normal with initializer_range for matrices, 1 for norms; a pure function of
// (config, seed).
std::shared_ptr<const Weights> InitWeights(const ModelConfig& config, uint64_t seed);

// Fills in the crc32 of each tensor from the blob.
void ComputeChecksums(absl::Span<const uint8_t> blob, WeightManifest* manifest);

}  // namespace ponder::moe
