// See proto/convert.h. ToWire first, then FromWire in the same order.
#include "proto/convert.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace ponder::proto {
namespace {

// Rounding may lift the log of a probability of 1 a little above 0.
constexpr float kMaxLogprob = 1e-3f;

template <typename... Why>
absl::Status Malformed(absl::string_view path, absl::string_view field, const Why&... why) {
  return absl::InvalidArgumentError(absl::StrCat(path, ".", field, ": ", why...));
}

std::string Indexed(absl::string_view field, int index) {
  return absl::StrCat(field, "[", index, "]");
}

absl::Status NotNegative(absl::string_view path, absl::string_view field, int64_t value) {
  if (value < 0) return Malformed(path, field, value, " is negative");
  return absl::OkStatus();
}

absl::Status Seconds(absl::string_view path, absl::string_view field, double value) {
  if (!std::isfinite(value)) return Malformed(path, field, value, " is not finite");
  if (value < 0) return Malformed(path, field, value, " is negative");
  return absl::OkStatus();
}

absl::Status TokenIds(absl::string_view path, absl::string_view field,
                      const google::protobuf::RepeatedField<int32_t>& ids) {
  if (ids.empty()) return Malformed(path, field, "empty");
  for (int i = 0; i < ids.size(); ++i) {
    PONDER_RETURN_IF_ERROR(NotNegative(path, Indexed(field, i), ids[i]));
  }
  return absl::OkStatus();
}

v1::StopReason ToWire(StopReason reason) {
  switch (reason) {
    case StopReason::kEndOfSequence:
      return v1::STOP_REASON_END_OF_SEQUENCE;
    case StopReason::kLength:
      return v1::STOP_REASON_LENGTH;
    case StopReason::kStop:
      return v1::STOP_REASON_STOP;
    case StopReason::kCancelled:  // never handed in
      return v1::STOP_REASON_UNSPECIFIED;
  }
  return v1::STOP_REASON_UNSPECIFIED;
}

v1::DType ToWire(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return v1::F32;
    case DType::kBF16:
      return v1::BF16;
    case DType::kF16:
      return v1::F16;
    case DType::kI64:
      return v1::I64;
  }
  return v1::DTYPE_UNSPECIFIED;
}

absl::StatusOr<DType> FromWire(v1::DType wire, absl::string_view path) {
  switch (wire) {
    case v1::F32:
      return DType::kF32;
    case v1::BF16:
      return DType::kBF16;
    case v1::F16:
      return DType::kF16;
    case v1::I64:
      return DType::kI64;
    default:
      return Malformed(path, "dtype", static_cast<int>(wire), " is not a dtype");
  }
}

v1::Verdict::Outcome ToWire(Verdict::Outcome outcome) {
  switch (outcome) {
    case Verdict::Outcome::kCorrect:
      return v1::Verdict::CORRECT;
    case Verdict::Outcome::kWrong:
      return v1::Verdict::WRONG;
    case Verdict::Outcome::kUnparsable:
      return v1::Verdict::UNPARSABLE;
    case Verdict::Outcome::kTimeout:
      return v1::Verdict::TIMEOUT;
    case Verdict::Outcome::kError:
      return v1::Verdict::ERROR;
    case Verdict::Outcome::kScored:
      return v1::Verdict::SCORED;
  }
  return v1::Verdict::OUTCOME_UNSPECIFIED;
}

absl::StatusOr<Verdict::Outcome> FromWire(v1::Verdict::Outcome wire, absl::string_view path) {
  switch (wire) {
    case v1::Verdict::CORRECT:
      return Verdict::Outcome::kCorrect;
    case v1::Verdict::WRONG:
      return Verdict::Outcome::kWrong;
    case v1::Verdict::UNPARSABLE:
      return Verdict::Outcome::kUnparsable;
    case v1::Verdict::TIMEOUT:
      return Verdict::Outcome::kTimeout;
    case v1::Verdict::ERROR:
      return Verdict::Outcome::kError;
    case v1::Verdict::SCORED:
      return Verdict::Outcome::kScored;
    default:
      return Malformed(path, "outcome", static_cast<int>(wire), " is not an outcome");
  }
}

absl::StatusOr<StopReason> FromWire(v1::StopReason wire, absl::string_view path) {
  switch (wire) {
    case v1::STOP_REASON_END_OF_SEQUENCE:
      return StopReason::kEndOfSequence;
    case v1::STOP_REASON_LENGTH:
      return StopReason::kLength;
    case v1::STOP_REASON_STOP:
      return StopReason::kStop;
    default:
      return Malformed(path, "stop_reason", static_cast<int>(wire), " is not a stop reason");
  }
}

// Bytes that shape and dtype ask for.
absl::StatusOr<uint64_t> TensorBytes(const TensorSpec& spec, absl::string_view path) {
  uint64_t bytes = static_cast<uint64_t>(DTypeSize(spec.dtype));
  for (size_t i = 0; i < spec.shape.size(); ++i) {
    const int64_t extent = spec.shape[i];
    const std::string field = Indexed("shape", static_cast<int>(i));
    PONDER_RETURN_IF_ERROR(NotNegative(path, field, extent));
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(extent), &bytes)) {
      return Malformed(path, field, extent, " makes the tensor larger than 2^64 bytes");
    }
  }
  return bytes;
}

absl::StatusOr<TensorSpec> FromWire(const v1::TensorSpec& wire, absl::string_view path) {
  TensorSpec spec;
  if (wire.name().empty()) return Malformed(path, "name", "empty");
  spec.name = wire.name();
  PONDER_ASSIGN_OR_RETURN(spec.dtype, FromWire(wire.dtype(), path));
  spec.shape.assign(wire.shape().begin(), wire.shape().end());
  spec.begin = wire.begin();
  spec.end = wire.end();
  spec.crc32 = wire.crc32();
  PONDER_ASSIGN_OR_RETURN(const uint64_t bytes, TensorBytes(spec, path));
  if (spec.end < spec.begin) {
    return Malformed(path, "end", spec.end, " is before begin, ", spec.begin);
  }
  if (spec.end - spec.begin != bytes) {
    return Malformed(path, "end", spec.end, " makes ", spec.end - spec.begin, " bytes of ",
                     spec.name, ", but its shape and dtype need ", bytes);
  }
  return spec;
}

// Length of the well-formed UTF-8 character at the head of `text`, 0 if there is none.
size_t CharacterLength(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const unsigned char second = byte(1);
  const bool overlong = (lead == 0xE0 && second < 0xA0) || (lead == 0xF0 && second < 0x90);
  const bool surrogate = lead == 0xED && second > 0x9F;
  const bool beyond = lead == 0xF4 && second > 0x8F;
  return overlong || surrogate || beyond ? 0 : length;
}

}  // namespace

v1::Prompt ToWire(const Prompt& prompt) {
  v1::Prompt wire;
  wire.set_id(prompt.id);
  wire.set_kind(prompt.kind);
  for (const Message& message : prompt.messages) {
    v1::Message* turn = wire.add_messages();
    turn->set_role(message.role);
    turn->set_content(message.content);
  }
  wire.set_gold(prompt.gold);
  wire.set_source(prompt.source);
  wire.set_difficulty(prompt.difficulty);
  return wire;
}

v1::SampleKey ToWire(const SampleKey& key) {
  v1::SampleKey wire;
  wire.set_prompt_id(key.prompt_id);
  wire.set_sample_index(key.sample_index);
  return wire;
}

v1::Lease ToWire(const Lease& lease) {
  v1::Lease wire;
  *wire.mutable_key() = ToWire(lease.key);
  wire.set_group_id(lease.group_id);
  wire.set_attempt(lease.attempt);
  wire.set_deadline_unix_ms(lease.deadline_unix_ms);
  wire.set_least_version(lease.least_version);
  return wire;
}

v1::Rollout ToWire(const Rollout& rollout) {
  v1::Rollout wire;
  *wire.mutable_key() = ToWire(rollout.key);
  wire.set_group_id(rollout.group_id);
  wire.set_attempt(rollout.attempt);
  wire.mutable_prompt_tokens()->Add(rollout.prompt_tokens.begin(), rollout.prompt_tokens.end());
  wire.mutable_tokens()->Add(rollout.tokens.begin(), rollout.tokens.end());
  wire.mutable_logprobs()->Add(rollout.logprobs.begin(), rollout.logprobs.end());
  for (const Segment& segment : rollout.segments) {
    v1::Segment* part = wire.add_segments();
    part->set_weight_version(segment.weight_version);
    part->set_first_token(segment.first_token);
    if (segment.kv_version != segment.weight_version) part->set_kv_version(segment.kv_version);
  }
  wire.set_stop_reason(ToWire(rollout.stop_reason));
  wire.set_generate_seconds(rollout.generate_seconds);
  wire.set_routed_experts(rollout.routed_experts);
  return wire;
}

v1::Verdict ToWire(const Verdict& verdict) {
  v1::Verdict wire;
  wire.set_outcome(ToWire(verdict.outcome));
  wire.set_extracted(ValidUtf8(verdict.extracted));
  wire.set_reason(ValidUtf8(verdict.reason));
  wire.set_detail(ValidUtf8(verdict.detail));
  wire.set_cost_seconds(verdict.cost_seconds);
  if (verdict.score.has_value()) wire.set_score(*verdict.score);
  return wire;
}

v1::WeightManifest ToWire(const WeightManifest& manifest) {
  v1::WeightManifest wire;
  wire.set_version(manifest.version);
  for (const TensorSpec& spec : manifest.tensors) {
    v1::TensorSpec* tensor = wire.add_tensors();
    tensor->set_name(spec.name);
    tensor->set_dtype(ToWire(spec.dtype));
    tensor->mutable_shape()->Add(spec.shape.begin(), spec.shape.end());
    tensor->set_begin(spec.begin);
    tensor->set_end(spec.end);
    tensor->set_crc32(spec.crc32);
  }
  wire.set_total_bytes(manifest.total_bytes);
  return wire;
}

absl::StatusOr<Prompt> FromWire(const v1::Prompt& wire, absl::string_view path) {
  Prompt prompt;
  if (wire.id().empty()) return Malformed(path, "id", "empty");
  if (wire.kind().empty()) return Malformed(path, "kind", "empty, in prompt '", wire.id(), "'");
  if (wire.messages().empty()) return Malformed(path, "messages", "none in '", wire.id(), "'");
  prompt.id = wire.id();
  prompt.kind = wire.kind();
  for (int i = 0; i < wire.messages_size(); ++i) {
    const std::string& role = wire.messages(i).role();
    if (role != "system" && role != "user" && role != "assistant") {
      return Malformed(path, absl::StrCat(Indexed("messages", i), ".role"), "'", role,
                       "' is not system, user or assistant");
    }
    prompt.messages.push_back({role, wire.messages(i).content()});
  }
  prompt.gold = wire.gold();
  prompt.source = wire.source();
  prompt.difficulty = wire.difficulty();
  return prompt;
}

absl::StatusOr<SampleKey> FromWire(const v1::SampleKey& wire, absl::string_view path) {
  if (wire.prompt_id().empty()) return Malformed(path, "prompt_id", "empty");
  PONDER_RETURN_IF_ERROR(NotNegative(path, "sample_index", wire.sample_index()));
  return SampleKey{wire.prompt_id(), wire.sample_index()};
}

absl::StatusOr<Lease> FromWire(const v1::Lease& wire, absl::string_view path) {
  Lease lease;
  PONDER_ASSIGN_OR_RETURN(lease.key, FromWire(wire.key(), absl::StrCat(path, ".key")));
  PONDER_RETURN_IF_ERROR(NotNegative(path, "group_id", wire.group_id()));
  PONDER_RETURN_IF_ERROR(NotNegative(path, "attempt", wire.attempt()));
  PONDER_RETURN_IF_ERROR(NotNegative(path, "deadline_unix_ms", wire.deadline_unix_ms()));
  PONDER_RETURN_IF_ERROR(NotNegative(path, "least_version", wire.least_version()));
  lease.group_id = wire.group_id();
  lease.attempt = wire.attempt();
  lease.deadline_unix_ms = wire.deadline_unix_ms();
  lease.least_version = wire.least_version();
  return lease;
}

absl::StatusOr<Rollout> FromWire(const v1::Rollout& wire, absl::string_view path) {
  Rollout rollout;
  PONDER_ASSIGN_OR_RETURN(rollout.key, FromWire(wire.key(), absl::StrCat(path, ".key")));
  PONDER_RETURN_IF_ERROR(NotNegative(path, "group_id", wire.group_id()));
  PONDER_RETURN_IF_ERROR(NotNegative(path, "attempt", wire.attempt()));
  PONDER_RETURN_IF_ERROR(TokenIds(path, "prompt_tokens", wire.prompt_tokens()));
  PONDER_RETURN_IF_ERROR(TokenIds(path, "tokens", wire.tokens()));
  if (wire.logprobs_size() != wire.tokens_size()) {
    return Malformed(path, "logprobs", wire.logprobs_size(), " of them for ", wire.tokens_size(),
                     " tokens");
  }
  for (int i = 0; i < wire.logprobs_size(); ++i) {
    const float logprob = wire.logprobs(i);
    if (!std::isfinite(logprob)) {
      return Malformed(path, Indexed("logprobs", i), logprob, " is not finite");
    }
    if (logprob > kMaxLogprob) {
      return Malformed(path, Indexed("logprobs", i), logprob, " is above 0");
    }
  }
  if (wire.segments().empty()) return Malformed(path, "segments", "none");
  Segment last{0, -1};
  for (int i = 0; i < wire.segments_size(); ++i) {
    const v1::Segment& segment = wire.segments(i);
    const std::string field = Indexed("segments", i);
    if (segment.weight_version() < last.weight_version) {
      return Malformed(path, absl::StrCat(field, ".weight_version"), segment.weight_version(),
                       " after ", last.weight_version, "; versions only grow");
    }
    if (i == 0 && segment.first_token() != 0) {
      return Malformed(path, absl::StrCat(field, ".first_token"), segment.first_token(),
                       ", but the first segment starts at 0");
    }
    if (segment.first_token() <= last.first_token) {
      return Malformed(path, absl::StrCat(field, ".first_token"), segment.first_token(),
                       " does not come after ", last.first_token);
    }
    if (segment.first_token() >= wire.tokens_size()) {
      return Malformed(path, absl::StrCat(field, ".first_token"), segment.first_token(),
                       " lies beyond the ", wire.tokens_size(), " tokens");
    }
    last = {segment.weight_version(), segment.first_token()};
    if (segment.has_kv_version()) last.kv_version = segment.kv_version();
    if (last.kv_version < 0 || last.kv_version > last.weight_version) {
      return Malformed(path, absl::StrCat(field, ".kv_version"), last.kv_version,
                       " is not between 0 and the segment's weight_version, ", last.weight_version);
    }
    rollout.segments.push_back(last);
  }
  PONDER_ASSIGN_OR_RETURN(rollout.stop_reason, FromWire(wire.stop_reason(), path));
  PONDER_RETURN_IF_ERROR(Seconds(path, "generate_seconds", wire.generate_seconds()));
  rollout.group_id = wire.group_id();
  rollout.attempt = wire.attempt();
  rollout.prompt_tokens.assign(wire.prompt_tokens().begin(), wire.prompt_tokens().end());
  rollout.tokens.assign(wire.tokens().begin(), wire.tokens().end());
  rollout.logprobs.assign(wire.logprobs().begin(), wire.logprobs().end());
  rollout.generate_seconds = wire.generate_seconds();
  rollout.routed_experts = wire.routed_experts();
  return rollout;
}

absl::StatusOr<Verdict> FromWire(const v1::Verdict& wire, absl::string_view path) {
  Verdict verdict;
  PONDER_ASSIGN_OR_RETURN(verdict.outcome, FromWire(wire.outcome(), path));
  PONDER_RETURN_IF_ERROR(Seconds(path, "cost_seconds", wire.cost_seconds()));
  verdict.extracted = wire.extracted();
  verdict.reason = wire.reason();
  verdict.detail = wire.detail();
  verdict.cost_seconds = wire.cost_seconds();
  if (wire.has_score()) {
    if (!std::isfinite(wire.score()))
      return Malformed(path, "score", wire.score(), " is not finite");
    verdict.score = wire.score();
  } else if (verdict.outcome == Verdict::Outcome::kScored) {
    return Malformed(path, "score", "missing in a verdict that is nothing else");
  }
  return verdict;
}

absl::StatusOr<WeightManifest> FromWire(const v1::WeightManifest& wire, absl::string_view path) {
  WeightManifest manifest;
  PONDER_RETURN_IF_ERROR(NotNegative(path, "version", wire.version()));
  manifest.version = wire.version();
  manifest.total_bytes = wire.total_bytes();
  std::set<std::string> names;
  uint64_t free_from = 0;
  for (int i = 0; i < wire.tensors_size(); ++i) {
    const std::string field = Indexed("tensors", i);
    PONDER_ASSIGN_OR_RETURN(TensorSpec spec,
                            FromWire(wire.tensors(i), absl::StrCat(path, ".", field)));
    if (!names.insert(spec.name).second) {
      return Malformed(path, absl::StrCat(field, ".name"), spec.name, " comes twice");
    }
    if (spec.begin < free_from) {
      return Malformed(path, absl::StrCat(field, ".begin"), spec.begin, " of ", spec.name,
                       " overlaps the tensor before, which ends at ", free_from);
    }
    if (spec.end > manifest.total_bytes) {
      return Malformed(path, absl::StrCat(field, ".end"), spec.end, " of ", spec.name,
                       " lies beyond total_bytes, ", manifest.total_bytes);
    }
    free_from = spec.end;
    manifest.tensors.push_back(std::move(spec));
  }
  return manifest;
}

std::string ValidUtf8(absl::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    if (length == 0) {
      valid += "\xEF\xBF\xBD";
      text.remove_prefix(1);
    } else {
      valid.append(text.data(), length);
      text.remove_prefix(length);
    }
  }
  return valid;
}

}  // namespace ponder::proto
