// Where the values of flags come from: command line, environment, config file, in this order.
#include "tools/options.h"

#include <cstdio>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

namespace millrace::tools {
namespace {

using testing::HasSubstr;

class OptionsTest : public testing::Test {
 protected:
  // The program as main() makes it, with the environment as it is now.
  void make_program(CLI::App& program) {
    CLI::App& topic = *program.add_subcommand("topic");
    CLI::App& create = *topic.add_subcommand("create");
    add_server(create, server_);
    add_size(create, "--segment-bytes", size_, "", {.least = 4096, .most = std::uint64_t{1} << 40});
    add_duration(create, "--retention-age", age_, "",
                 {.least = std::chrono::seconds(1), .most = std::chrono::hours(24 * 365)});
    add_output_format(create, format_);
    create.add_option("-p,--partitions", partitions_);
    add_number(create, "--count", count_, "", {.least = 1, .most = 10});
    add_number(create, "--part", part_, "");
    create.add_flag("--no-create", flag_);
    add_size(*topic.add_subcommand("alter"), "--segment-bytes", altered_size_, "");
    add_other_sources(program);
  }
  ~OptionsTest() override {
    for (const char* name :
         {"MILLRACE_PARTITIONS", "MILLRACE_SERVER", "MILLRACE_CONFIG", "MILLRACE_SEGMENT_BYTES"})
      unsetenv(name);
    if (!file_.empty()) std::remove(file_.c_str());
  }
  // What goes wrong, or nothing.
  std::string parse(std::vector<std::string> arguments, const std::string& command = "create") {
    arguments.insert(arguments.begin(), {"topic", command});
    if (!file_.empty()) arguments.insert(arguments.begin(), {"--config", file_});
    std::reverse(arguments.begin(), arguments.end());
    CLI::App program;
    make_program(program);
    try {
      program.parse(arguments);
      return "";
    } catch (const CLI::ParseError& error) {
      return error.what();
    }
  }
  void write_config(const std::string& text) {
    // Tests run side by side, each in a process of its own.
    file_ = testing::TempDir() + "millrace-" + testing::UnitTest::GetInstance()->current_test_info()->name() +
            ".toml";
    std::ofstream(file_) << text;
  }

  std::string file_;
  HostPort server_ = server_default();
  std::uint64_t size_ = 0, altered_size_ = 1;
  Duration age_{0};
  OutputFormat format_ = OutputFormat::table;
  int partitions_ = 1;
  std::uint32_t count_ = 1;
  std::optional<std::uint32_t> part_;
  bool flag_ = false;
};

TEST_F(OptionsTest, FlagsAreParsedWithTheirUnits) {
  EXPECT_EQ(parse({"-s", "127.0.0.1:7421", "--segment-bytes", "64MiB", "--retention-age", "7d", "--format",
                   "json"}),
            "");
  EXPECT_EQ(server_.port, 7421);
  EXPECT_EQ(size_, 64u << 20);
  EXPECT_EQ(age_, std::chrono::hours(7 * 24));
  EXPECT_EQ(format_, OutputFormat::json);
}

TEST_F(OptionsTest, TheFileGivesWhatNobodyElseDoes) {
  write_config("[topic.create]\npartitions = 7\nsegment-bytes = \"1GiB\"\nno-create = true\n");
  EXPECT_EQ(parse({}), "");
  EXPECT_EQ(partitions_, 7);
  EXPECT_EQ(size_, 1u << 30);
  EXPECT_TRUE(flag_);
}

TEST_F(OptionsTest, TheEnvironmentWinsOverTheFile) {
  write_config("[topic.create]\npartitions = 7\n");
  setenv("MILLRACE_PARTITIONS", "8", 1);
  setenv("MILLRACE_SERVER", "127.0.0.1:9", 1);
  EXPECT_EQ(parse({}), "");
  EXPECT_EQ(partitions_, 8);
  EXPECT_EQ(server_.port, 9);
}

TEST_F(OptionsTest, TheFlagWinsOverBoth) {
  write_config("[topic.create]\npartitions = 7\n");
  setenv("MILLRACE_PARTITIONS", "8", 1);
  EXPECT_EQ(parse({"-p", "9"}), "");
  EXPECT_EQ(partitions_, 9);
}

TEST_F(OptionsTest, TheEnvironmentNamesTheFile) {
  write_config("[topic.create]\npartitions = 7\n");
  setenv("MILLRACE_CONFIG", file_.c_str(), 1);
  file_.clear();
  EXPECT_EQ(parse({}), "");
  EXPECT_EQ(partitions_, 7);
}

TEST_F(OptionsTest, AnEmptyVariableCountsAsNotSet) {
  write_config("[topic.create]\npartitions = 7\n");
  setenv("MILLRACE_PARTITIONS", "", 1);
  EXPECT_EQ(parse({}), "");
  EXPECT_EQ(partitions_, 7);
  file_.clear();
  setenv("MILLRACE_CONFIG", "", 1);
  EXPECT_EQ(parse({}), "");
}

TEST_F(OptionsTest, AnUnknownKeyIsAnErrorThatNamesItsSectionAndTheClosest) {
  write_config("[topic.create]\npartition = 7\n");
  EXPECT_EQ(parse({}),
            "'partition' is no key of the config file's section [topic.create]; did you mean 'partitions'?");
  write_config("[topic.create]\ncolour = 7\n");
  EXPECT_THAT(parse({}), testing::EndsWith("section [topic.create]; no command has such a flag"));
}

TEST_F(OptionsTest, AnUnknownSectionIsAnErrorThatNamesTheClosestAlsoWhereItIsEmpty) {
  for (const char* text : {"[topics.create]\npartitions = 7\n", "[topics.create]\n"}) {
    write_config(text);
    EXPECT_THAT(parse({}), testing::StartsWith("the config file has a section [topics"));
  }
  write_config("[topic.creat]\npartitions = 7\n");
  EXPECT_EQ(parse({}),
            "the config file has a section [topic.creat], which is no command; did you mean 'topic.create'?");
}

TEST_F(OptionsTest, AKeyInTheWrongSectionOrInNoneIsToldWhereItBelongs) {
  write_config("[topic]\npartitions = 7\n");
  EXPECT_EQ(parse({}),
            "'partitions' is no key of the config file's section [topic]; it belongs below [topic.create]");
  write_config("partitions = 7\n");
  EXPECT_EQ(parse({}),
            "'partitions' stands in no section of the config file; it belongs below [topic.create]");
  write_config("colour = 1\n");
  EXPECT_EQ(parse({}), "'colour' stands in no section of the config file; no command has such a flag");
}

// The rest of the line was taken as it stood, the quote with it, and a server began a folder of that name.
TEST_F(OptionsTest, WhatIsNoTomlIsAnErrorThatNamesTheLine) {
  for (const char* line : {"segment-bytes = \"1GiB", "segment-bytes = 1GiB", "no-create = yes",
                           "[topic.create]", "[topic", "segment-bytes"}) {
    write_config(std::string("[topic.create]\n") + line + "\n");
    EXPECT_THAT(parse({}), testing::StartsWith("line 2 of the config file is no TOML: ")) << line;
  }
  write_config("[topic.create]\nsegment-bytes = 2026-01-31\n");
  EXPECT_EQ(parse({}), "line 2 of the config file: a value is a text, a number, true or false");
}

TEST_F(OptionsTest, AFileThatIsNotThereIsAnError) {
  file_ = "/nowhere/millrace.toml";
  EXPECT_THAT(parse({}), HasSubstr("/nowhere/millrace.toml"));
}

TEST_F(OptionsTest, ValuesThatMeanNothingAreRefused) {
  EXPECT_THAT(parse({"--segment-bytes", "many"}), HasSubstr("--segment-bytes"));
  EXPECT_THAT(parse({"--retention-age", "7"}), HasSubstr("--retention-age"));
  EXPECT_THAT(parse({"--server", "here"}), HasSubstr("--server"));
  EXPECT_THAT(parse({"--format", "xml"}), HasSubstr("--format"));
  EXPECT_THAT(parse({"-p", "two"}), HasSubstr("--partitions"));
  setenv("MILLRACE_SEGMENT_BYTES", "many", 1);
  EXPECT_THAT(parse({}), HasSubstr("--segment-bytes"));
}

TEST_F(OptionsTest, AValueThatIsWrongForAnotherCommandIsNotInTheWay) {
  setenv("MILLRACE_SEGMENT_BYTES", "0", 1);
  EXPECT_THAT(parse({}), HasSubstr("--segment-bytes: '0' is less than 4 KiB"));
  EXPECT_EQ(parse({}, "alter"), "");
  EXPECT_EQ(altered_size_, 0u);
  unsetenv("MILLRACE_SEGMENT_BYTES");
  write_config("[topic.create]\nsegment-bytes = \"0\"\n[topic.alter]\nsegment-bytes = \"2KiB\"\n");
  EXPECT_THAT(parse({}), HasSubstr("--segment-bytes: '0' is less than 4 KiB"));
  EXPECT_EQ(parse({}, "alter"), "");
  EXPECT_EQ(altered_size_, 2048u);
}

TEST_F(OptionsTest, SizesAndDurationsHaveARange) {
  EXPECT_THAT(parse({"--segment-bytes", "0"}), HasSubstr("--segment-bytes: '0' is less than 4 KiB"));
  EXPECT_THAT(parse({"--segment-bytes", "2TiB"}), HasSubstr("'2TiB' is more than 1 TiB"));
  EXPECT_THAT(parse({"--retention-age", "0"}), HasSubstr("--retention-age: '0' is less than 1s"));
  EXPECT_THAT(parse({"--retention-age", "366d"}), HasSubstr("'366d' is more than 365d"));
  EXPECT_EQ(parse({"--segment-bytes", "4KiB", "--retention-age", "1s"}), "");
}

TEST_F(OptionsTest, ANameOfAServerIsNotLookedUp) {
  EXPECT_EQ(parse({"--server", "no.such.host.invalid:7421"}), "");
  EXPECT_EQ(server_.host, "no.such.host.invalid");
  EXPECT_EQ(server_.port, 7421);
}

TEST_F(OptionsTest, WhatAValueMayBeIsSaidInTheWordsOfTheFlag) {
  EXPECT_THAT(parse({"--format", "xml"}), testing::EndsWith("--format: 'xml' is not one of table, json"));
  EXPECT_THAT(parse({"--count", "0"}), HasSubstr("--count: '0' is no whole number from 1 to 10"));
  EXPECT_THAT(parse({"--count", "11"}), HasSubstr("from 1 to 10"));
  EXPECT_THAT(parse({"--count", "1x"}), HasSubstr("'1x'"));
  EXPECT_THAT(parse({"--part", "4294967296"}), HasSubstr("from 0 to 4294967295"));
  EXPECT_EQ(parse({"--count", "10", "--format", "JSON", "--part", "7"}), "");
  EXPECT_EQ(count_, 10u);
  EXPECT_EQ(part_, 7u);
  EXPECT_EQ(format_, OutputFormat::json);
}

TEST(Closest, IsTheOneWithTheFewestEdits) {
  EXPECT_EQ(closest("serer", {"shards", "server", "data"}), "server");
  EXPECT_EQ(closest("x", {}), "");
}

TEST(Closest, IsNothingWhenNothingIsNear) {
  EXPECT_EQ(closest("bogus", {"topic", "status", "log"}), "");
  EXPECT_EQ(closest("--bogus", {"--data", "--cluster"}), "");
  EXPECT_EQ(closest("--retention", {"--data", "--retention-age"}), "--retention-age") << "its beginning";
}

}  // namespace
}  // namespace millrace::tools
