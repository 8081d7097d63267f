// ServerOptions: where a model is served, under which name, and to how many at once.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "data/model_text.h"

namespace ponder::actor {

struct ServerOptions {
  std::string host = "127.0.0.1";
  int port = 0;                // 0: any free one
  std::string served_model;    // its name
  int connections = 128;       // served at once, a thread each; more wait
  int64_t max_body = 8 << 20;  // bytes of a call
  std::shared_ptr<const data::ModelText> text = data::ByteText();  // of the model
};

}  // namespace ponder::actor
