// ConfigReader: reads the keys of a config.json into a ModelConfig, one after another; the first mistake
// is kept and the rest skipped. A value, for the length of one parse.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "moe/model_config.h"
#include "nlohmann/json_fwd.hpp"

namespace ponder::moe {

class ConfigReader {
 public:
  // Both outlive it. `path` is for messages.
  ConfigReader(const nlohmann::ordered_json& json, const std::string& path)
      : json_(json), path_(path) {}

  // A key that is absent or null leaves *value, the architecture's default, as it is.
  void Read(const char* key, int64_t* value);
  void Read(const char* key, double* value);
  void Read(const char* key, bool* value);
  void Read(const char* key, std::string* value);
  void Read(const char* key, std::vector<int64_t>* value);
  // Whether the key is there and null: not the default, but none.
  bool IsNull(const char* key) const;
  // Refuses a missing key.
  void Require(const char* key, int64_t* value);
  // Refuses every value but null, absence and `neutral`, a JSON text.
  void Only(const char* key, const char* neutral);

  // What all families share: sizes, RoPE, end-of-sequence tokens, and the keys of other
  // architectures' arithmetic, which are refused. `config` holds the defaults.
  void ReadCommon(ModelConfig* config);
  // head_dim, num_key_value_heads of plain attention. Heads that `config` has no default for, or that
  // are null, are the query heads.
  void ReadHeads(ModelConfig* config);
  // The window of attention: sequences are limited to it.
  void ReadSlidingWindow(ModelConfig* config);

  const absl::Status& status() const { return status_; }

 private:
  // Null when absent or null, or after a mistake.
  const nlohmann::ordered_json* Find(const char* key);
  void Fail(const char* key, const std::string& what);
  void ReadEos(ModelConfig* config);
  void ReadQuantization(ModelConfig* config);
  void ReadRope(ModelConfig* config);
  void ReadRopeScaling(const char* key, const nlohmann::ordered_json& scaling, ModelConfig* config);

  const nlohmann::ordered_json& json_;
  const std::string& path_;
  absl::Status status_;
};

}  // namespace ponder::moe
