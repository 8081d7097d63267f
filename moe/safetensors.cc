// The safetensors format: 8 bytes little-endian header length, a JSON header {name: {dtype, shape,
// data_offsets}}, the data.
#include <cstring>
#include <limits>
#include <set>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "moe/checkpoint.h"
#include "nlohmann/json.hpp"

namespace ponder::moe {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kLengthBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
constexpr char kMetadataKey[] = "__metadata__";

// The header as JSON; empty `error` unless a key comes twice at one level or the text is not an
// object.
absl::StatusOr<Json> ParseHeader(absl::string_view text) {
  std::vector<std::set<std::string>> keys_of_level;
  std::string duplicate;
  const auto watch_keys = [&](int, Json::parse_event_t event, Json& value) {
    using Event = Json::parse_event_t;
    if (event == Event::object_start) keys_of_level.emplace_back();
    if (event == Event::object_end) keys_of_level.pop_back();
    if (event == Event::key && !keys_of_level.back().insert(value.get<std::string>()).second) {
      duplicate = value.get<std::string>();
    }
    return true;
  };
  Json header = Json::parse(text.begin(), text.end(), watch_keys, /*allow_exceptions=*/false);
  if (!header.is_object()) return absl::DataLossError("the header is not a JSON object");
  if (!duplicate.empty())
    return absl::DataLossError(absl::StrCat("the header names ", duplicate, " twice"));
  return header;
}

absl::StatusOr<DType> ParseDType(const Json& value) {
  for (DType dtype : {DType::kF32, DType::kBF16, DType::kF16, DType::kI64}) {
    if (value == DTypeName(dtype)) return dtype;
  }
  return absl::DataLossError(
      absl::StrCat("dtype ", value.dump(), " is not one of F32, BF16, F16, I64"));
}

absl::StatusOr<TensorSpec> ParseTensor(const std::string& name, const Json& entry) {
  TensorSpec tensor;
  tensor.name = name;
  if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") ||
      !entry.contains("shape") || !entry.contains("data_offsets")) {
    return absl::DataLossError("expected dtype, shape and data_offsets");
  }
  PONDER_ASSIGN_OR_RETURN(tensor.dtype, ParseDType(entry["dtype"]));
  const auto is_size = [](const Json& number) {
    return number.is_number_unsigned() &&
           number.get<uint64_t>() <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  };
  const Json& shape = entry["shape"];
  if (!shape.is_array() || !absl::c_all_of(shape, is_size)) {
    return absl::DataLossError("shape must be a list of sizes");
  }
  for (const Json& dim : shape) tensor.shape.push_back(dim.get<int64_t>());
  const Json& offsets = entry["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2 || !absl::c_all_of(offsets, is_size)) {
    return absl::DataLossError("data_offsets must be two byte positions");
  }
  tensor.begin = offsets[0].get<uint64_t>();
  tensor.end = offsets[1].get<uint64_t>();
  return tensor;
}

absl::StatusOr<std::shared_ptr<const Weights>> Parse(const std::string& bytes) {
  uint64_t header_bytes = 0;
  if (bytes.size() < kLengthBytes) return absl::DataLossError("the file is too short for a header");
  for (size_t i = 0; i < kLengthBytes; ++i) {
    header_bytes |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
  }
  if (header_bytes > kMaxHeaderBytes || header_bytes > bytes.size() - kLengthBytes) {
    return absl::DataLossError(
        absl::StrCat("the header claims ", header_bytes, " bytes of a file of ", bytes.size()));
  }
  const absl::string_view text(bytes.data() + kLengthBytes, header_bytes);
  PONDER_ASSIGN_OR_RETURN(const Json header, ParseHeader(text));

  WeightManifest manifest;
  const size_t data_begin = kLengthBytes + header_bytes;
  manifest.total_bytes = bytes.size() - data_begin;
  for (const auto& [name, entry] : header.items()) {
    if (name == kMetadataKey) continue;
    auto tensor = ParseTensor(name, entry);
    if (!tensor.ok()) return Annotate(tensor.status(), absl::StrCat("tensor ", name));
    manifest.tensors.push_back(*std::move(tensor));
  }
  absl::c_stable_sort(manifest.tensors, [](const TensorSpec& a, const TensorSpec& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  auto blob = std::make_shared<std::vector<uint8_t>>(
      bytes.begin() + static_cast<ptrdiff_t>(data_begin), bytes.end());
  // Weights::Make refuses gaps, overlaps and ranges that do not fit the shape; a tensor out of
  // bounds was not read yet.
  PONDER_ASSIGN_OR_RETURN(auto unchecked, Weights::Make(std::move(manifest), blob));
  manifest = unchecked->manifest();
  ComputeChecksums(*blob, &manifest);
  return Weights::Make(std::move(manifest), std::move(blob));
}

}  // namespace

std::string SafetensorsBytes(const Weights& weights) {
  Json header;
  header[kMetadataKey] = {{"format", "pt"}};
  for (const TensorSpec& tensor : weights.manifest().tensors) {
    header[tensor.name] = {{"dtype", DTypeName(tensor.dtype)},
                           {"shape", tensor.shape},
                           {"data_offsets", {tensor.begin, tensor.end}}};
  }
  std::string text = header.dump();
  text.append((kLengthBytes - text.size() % kLengthBytes) % kLengthBytes, ' ');  // aligns the data
  std::string bytes;
  bytes.reserve(kLengthBytes + text.size() + weights.blob()->size());
  for (size_t i = 0; i < kLengthBytes; ++i)
    bytes.push_back(static_cast<char>(text.size() >> (8 * i) & 0xff));
  bytes += text;
  bytes.append(reinterpret_cast<const char*>(weights.blob()->data()), weights.blob()->size());
  return bytes;
}

absl::StatusOr<std::shared_ptr<const Weights>> ParseSafetensors(std::string bytes,
                                                                const std::string& path) {
  auto weights = Parse(bytes);
  if (!weights.ok())
    return absl::DataLossError(absl::StrCat(path, ": ", weights.status().message()));
  return weights;
}

}  // namespace ponder::moe
