// Wire <-> words: the only place that maps proto/types.proto to base/types.h and back.
//
// ToWire never fails. FromWire trusts nothing: a malformed message is InvalidArgument, and the
// message names the field and its value, e.g. "rollout.logprobs[3]: nan is not finite". `path` is
// what the caller calls the message.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/types.h"
#include "proto/types.pb.h"

namespace ponder::proto {

v1::Prompt ToWire(const Prompt& prompt);
v1::SampleKey ToWire(const SampleKey& key);
v1::Lease ToWire(const Lease& lease);
v1::Rollout ToWire(const Rollout& rollout);
// Text that is not UTF-8 is mended (ValidUtf8): it is for people, and protobuf refuses to parse it
// otherwise.
v1::Verdict ToWire(const Verdict& verdict);
v1::WeightManifest ToWire(const WeightManifest& manifest);

// An id, a kind and at least one message; roles are "system", "user" or "assistant".
absl::StatusOr<Prompt> FromWire(const v1::Prompt& wire, absl::string_view path = "prompt");
absl::StatusOr<SampleKey> FromWire(const v1::SampleKey& wire, absl::string_view path = "key");
absl::StatusOr<Lease> FromWire(const v1::Lease& wire, absl::string_view path = "lease");
// Token ids >= 0; one logprob a token, finite and <= 1e-3; segments ascending from token 0 and
// inside `tokens`. What routed_experts must be is a matter of the model: moe::ReadRouting checks
// it.
absl::StatusOr<Rollout> FromWire(const v1::Rollout& wire, absl::string_view path = "rollout");
absl::StatusOr<Verdict> FromWire(const v1::Verdict& wire, absl::string_view path = "verdict");
// Ranges in order, without overlap, as long as shape and dtype say, and inside total_bytes.
absl::StatusOr<WeightManifest> FromWire(const v1::WeightManifest& wire,
                                        absl::string_view path = "manifest");

// `text` with every byte that is not part of well-formed UTF-8 replaced by U+FFFD.
std::string ValidUtf8(absl::string_view text);

}  // namespace ponder::proto
