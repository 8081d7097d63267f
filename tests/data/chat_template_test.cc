// Chat templates against what Python's jinja2 makes of them, as transformers sets it up; the pieces
// of the language; templates that would never end.
#include "data/chat_template.h"

#include <cstring>
#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "base/atomic_file.h"
#include "data/model_template.h"
#include "data/tokenizers/tokenizer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace ponder::data {
namespace chat_template_test {

using Json = nlohmann::ordered_json;

const std::string& Folder() {
  static const std::string folder = std::string(PONDER_SOURCE_DIR) + "/tests/data/";
  return folder;
}

std::vector<Json> ReadLines(const std::string& path) {
  const auto text = ReadFile(path);
  EXPECT_TRUE(text.ok()) << text.status();
  std::vector<Json> lines;
  for (const absl::string_view line : absl::StrSplit(*text, '\n', absl::SkipEmpty()))
    lines.push_back(Json::parse(line));
  return lines;
}

// The text, or the error behind "! ".
std::string Render(const std::string& text, const Json& variables = Json::object()) {
  const auto made = ChatTemplate::Parse(text, "t");
  if (!made.ok()) return "! " + std::string(made.status().message());
  const auto rendered = made->Render(variables, absl::UnixEpoch());
  return rendered.error.empty() ? rendered.text : "! " + rendered.error;
}

TEST(ChatTemplate, GoldensOfJinja2AndTheirIds) {
  const std::vector<Json> cases = ReadLines(Folder() + "chat/cases.jsonl");
  ASSERT_GT(cases.size(), 100u);
  std::map<std::string, std::shared_ptr<const Tokenizer>> tokenizers;
  for (const Json& line : cases) {
    Json variables = {{"messages", line["messages"]},
                      {"add_generation_prompt", line["add_generation_prompt"]}};
    for (const char* name : {"bos_token", "eos_token"})
      if (!line[name].is_null()) variables[name] = line[name];
    for (const auto& [name, value] : line["kwargs"].items()) variables[name] = value;
    const auto text = Render(line["template"], variables);
    if (line["rendered"].is_null()) {
      EXPECT_EQ(text, "! " + line["error"].get<std::string>());
      continue;
    }
    ASSERT_EQ(text, line["rendered"].get<std::string>()) << line["name"];
    auto& tokenizer = tokenizers[line["tokenizer"].get<std::string>()];
    if (tokenizer == nullptr) {
      auto loaded = LoadTokenizer(Folder() + "tokenizers/" + line["tokenizer"].get<std::string>());
      ASSERT_TRUE(loaded.ok()) << loaded.status();
      tokenizer = *loaded;
    }
    EXPECT_EQ(*tokenizer->Encode(text, false), line["ids"].get<std::vector<int32_t>>());
  }
}

// snippets.jsonl {template, variables, rendered or error}: made by Python's jinja2.
TEST(ChatTemplate, SnippetsOfTheLanguageAsJinja2RendersThem) {
  const std::vector<Json> cases = ReadLines(Folder() + "chat/snippets.jsonl");
  ASSERT_GT(cases.size(), 100u);
  for (const Json& line : cases) {
    const std::string wanted = line["rendered"].is_null() ? "! " + line["error"].get<std::string>()
                                                          : line["rendered"].get<std::string>();
    EXPECT_EQ(Render(line["template"], line["variables"]), wanted) << line["template"];
  }
}

TEST(ChatTemplate, ErrorsNameLineAndTag) {
  const auto made = ChatTemplate::Parse("a\n\n{{ message.x.y }}", "t");
  ASSERT_TRUE(made.ok());
  const auto rendered = made->Render({{"message", Json::object()}}, absl::UnixEpoch());
  EXPECT_EQ(rendered.error, "'dict object' has no attribute 'x'");
  EXPECT_EQ(rendered.line, 3);
  EXPECT_EQ(rendered.tag, "{{ message.x.y }}");
  EXPECT_EQ(Render("a\n{% frob x %}"), "! t:2: Encountered unknown tag 'frob'., in {% frob x %}");
  EXPECT_THAT(Render("{% if x %}"), testing::HasSubstr("unexpected end of template"));
  EXPECT_THAT(Render("\n{{ x"), testing::HasSubstr("t:2: a tag is not closed by }}"));
}

TEST(ChatTemplate, WhatIsNotThereIsAnErrorThatNamesIt) {
  for (const char* tag : {"include 'x'", "extends 'x'", "import 'x' as y", "block b",
                          "autoescape true", "trans", "do x"}) {
    const std::string name(tag, std::strcspn(tag, " "));
    EXPECT_EQ(Render("a\nb{% " + std::string(tag) + " %}"),
              "! t:2: Encountered unknown tag '" + name + "'., in {% " + tag + " %}");
  }
  const auto made = ChatTemplate::Parse("a\n{{ 'x'|wordwrap(3) }}", "t");
  ASSERT_TRUE(made.ok());
  const auto rendered = made->Render(Json::object(), absl::UnixEpoch());
  EXPECT_EQ(rendered.error, "No filter named 'wordwrap'.");
  EXPECT_EQ(rendered.line, 2);
  EXPECT_EQ(rendered.tag, "{{ 'x'|wordwrap(3) }}");
}

TEST(ChatTemplate, AMacroOutsideOfItsBlockIsAnError) {
  EXPECT_EQ(
      Render("{% set ns = namespace() %}{% for i in [1] %}{% macro m() %}{{ i }}{% endmacro %}"
             "{% set ns.m = m %}{{ ns.m() }}{% endfor %}{{ ns.m() }}"),
      "! a macro is called outside of the block that it is written in");
}

TEST(ChatTemplate, TemplatesThatWouldNotEndAreErrors) {
  const std::string many =
      "{% for a in range(9999) %}{% for b in range(9999) %}"
      "{% for c in range(9999) %}x{% endfor %}{% endfor %}{% endfor %}";
  for (const std::string& text :
       {many,
        std::string("{{ 'abc' * 99999999999 }}"),
        std::string("{{ [0] * 999999999 }}"),
        std::string("{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}"),
        std::string("{% set ns = namespace(a=[]) %}{% for i in range(99999) %}"
                    "{% set ns.a = [ns.a] %}{% endfor %}"),
        std::string("{% set ns = namespace(a='ab') %}{% for i in range(9999) %}"
                    "{% set ns.a = ns.a ~ ns.a %}{% endfor %}"),
        std::string("{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}"),
        std::string("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}"),
        std::string("{% macro f() %}{{ caller() }}{% call f() %}x{% endcall %}{% endmacro %}"
                    "{% call f() %}y{% endcall %}"),
        std::string("{{ '%99999999999d' % 1 }}"),
        std::string("{{ '{:99999999999}'.format(1) }}"),
        std::string("{{ 'x'.center(99999999999) }}"),
        std::string("{{ 'x'|center(99999999999) }}"),
        std::string("{{ 'x'.zfill(99999999999) }}"),
        std::string("{{ [1]|slice(99999999999) }}"),
        std::string("{{ [1]|batch(99999999999, 'x') }}"),
        std::string("{% set ns = namespace() %}{% set ns.a = joiner(ns) %}"),
        std::string("{% for x in [1, 2] %}{{ loop.changed(loop) }}{% endfor %}"),
        std::string(5000, '('),
        "{{ " + std::string(5000, '(') + " }}",
        "{{ " + std::string(5000, '-') + "1 }}",
        "{{ [" + std::string(5000, '[') + " }}"}) {
    const std::string rendered = Render(text);
    if (text[0] == '{') {
      EXPECT_EQ(rendered.substr(0, 2), "! ") << text.substr(0, 80);
    }
  }
}

TEST(ModelTemplate, ReadsTheFolder) {
  const auto model = LoadModelTemplate(Folder() + "tokenizers/llama3");
  ASSERT_TRUE(model.ok()) << model.status();
  ASSERT_TRUE(model->chat_template.has_value());
  EXPECT_THAT(model->special_tokens, testing::Contains(testing::Pair("eos_token", "<|eot_id|>")));
  const auto none = LoadModelTemplate(PONDER_SOURCE_DIR);
  ASSERT_TRUE(none.ok());
  EXPECT_FALSE(none->chat_template.has_value());
}

}  // namespace chat_template_test
}  // namespace ponder::data
