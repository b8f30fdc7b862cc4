#include "runnel/report/picture.hpp"

#include <gtest/gtest.h>

namespace runnel::report {
namespace {

std::size_t count_of(const std::string& text, std::string_view part) {
    std::size_t count = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
        ++count;
    }
    return count;
}

TransferPicture transfer() {
    TransferPicture picture;
    picture.title = "A & B";
    picture.sent.add({.at = seconds(0), .begin = 0, .end = 1000});
    picture.sent.add({.at = seconds(10), .begin = 1000, .end = 2000});
    return picture;
}

TEST(Picture, SaysItsTitleSafely) {
    EXPECT_NE(transfer_svg(transfer()).find("A &amp; B"), std::string::npos);
}

TEST(Picture, ManySmallStepsAreSeen) {
    TransferPicture picture = transfer();
    for (int i = 0; i <= 10'000; ++i) {
        picture.round_trips.add({.at = milliseconds(i),
                                 .smoothed = microseconds(50'000 + i * 5),
                                 .timeout = milliseconds(250)});
    }
    const std::string svg = transfer_svg(picture);
    const std::size_t last = svg.rfind("class=\"w\"");
    ASSERT_NE(last, std::string::npos);
    EXPECT_GT(count_of(svg.substr(last), "V"), 100u);
}

TEST(Picture, StatesFollowEachOther) {
    TransferPicture picture = transfer();
    const std::size_t in_legend = count_of(transfer_svg(picture), "class=\"recovery\"");
    picture.recovery.add({.at = seconds(0), .state = "open", .undone = 0, .reordering = 3});
    picture.recovery.add({.at = seconds(2), .state = "recovery", .undone = 0, .reordering = 3});
    picture.recovery.add({.at = seconds(4), .state = "open", .undone = 0, .reordering = 3});
    const std::string svg = transfer_svg(picture);
    EXPECT_EQ(count_of(svg, "class=\"recovery\""), in_legend + 1);
    // 78 to 985 are ten seconds: from the second to the fourth.
    EXPECT_NE(svg.find("class=\"recovery\" d=\"M259.4 616.0H440.8\""), std::string::npos) << svg;
    EXPECT_NE(svg.find("class=\"open\" d=\"M440.8 616.0H985.0\""), std::string::npos)
        << "the last one holds";
}

TEST(Picture, AReductionTakenBackIsMarked) {
    TransferPicture picture = transfer();
    picture.recovery.add({.at = seconds(0), .state = "loss", .undone = 1, .reordering = 3});
    const std::string before = transfer_svg(picture);
    picture.recovery.add({.at = seconds(5), .state = "open", .undone = 2, .reordering = 3});
    EXPECT_EQ(count_of(transfer_svg(picture), "class=\"u\""), count_of(before, "class=\"u\"") + 1);
}

TEST(Picture, TheReorderingThresholdIsSaidWhereItChanges) {
    TransferPicture picture = transfer();
    picture.recovery.add({.at = seconds(0), .state = "open", .undone = 0, .reordering = 3});
    picture.recovery.add({.at = seconds(3), .state = "disorder", .undone = 0, .reordering = 3});
    picture.recovery.add({.at = seconds(6), .state = "open", .undone = 0, .reordering = 77});
    picture.recovery.add(
        {.at = seconds(6) + milliseconds(1), .state = "open", .undone = 0, .reordering = 78});
    const std::string svg = transfer_svg(picture);
    EXPECT_EQ(count_of(svg, ">3</text>"), 1u);
    EXPECT_EQ(count_of(svg, ">77</text>"), 1u);
    EXPECT_EQ(count_of(svg, ">78</text>"), 0u) << "it would lie on the one before";
}

TEST(Picture, PacingIsInBits) {
    TransferPicture picture = transfer();
    EXPECT_NE(transfer_svg(picture).find("not paced"), std::string::npos);
    picture.pacing.add({.at = seconds(1), .rate = 1'250'000});
    const std::string svg = transfer_svg(picture);
    EXPECT_EQ(svg.find("not paced"), std::string::npos);
    EXPECT_NE(svg.find("10 Mbit/s"), std::string::npos);
}

}  // namespace
}  // namespace runnel::report
