#include "grace/core/network.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <thread>

#include "temporary_folder.h"

namespace grace::core {
namespace {

using ConnectionPtr = std::unique_ptr<Connection>;

ConnectionPtr accept_one(Listener& listener) {
  for (;;) {
    Result<ConnectionPtr> got = listener.try_accept();
    if (!got) return nullptr;
    if (*got != nullptr) return std::move(*got);
    std::this_thread::yield();
  }
}

// Reads until the end or until `bytes` are there.
std::string read_text(Connection& connection, std::size_t bytes) {
  std::string out;
  char buffer[64];
  while (out.size() < bytes) {
    const Result<IoCount> got = connection.read(buffer);
    if (!got || got->state == IoState::kEnd) break;
    out.append(buffer, got->bytes);
    if (got->state == IoState::kWouldBlock) std::this_thread::yield();
  }
  return out;
}

template <typename Address>
void expect_conversation(Network& network, Listener& listener, const Address& address) {
  ASSERT_EQ(*listener.try_accept(), nullptr) << "nobody is waiting yet";
  Result<ConnectionPtr> client = network.connect(address);
  ASSERT_TRUE(client) << client.error().message;
  const ConnectionPtr server = accept_one(listener);
  ASSERT_NE(server, nullptr);
  char buffer[8];
  EXPECT_EQ(server->read(buffer)->state, IoState::kWouldBlock);
  EXPECT_EQ((*client)->write(std::string_view("ping"))->bytes, 4U);
  EXPECT_EQ(read_text(*server, 4), "ping");
  ASSERT_TRUE((*client)->finish_writing());
  while (server->read(buffer)->state == IoState::kWouldBlock) std::this_thread::yield();
  EXPECT_EQ(server->read(buffer)->state, IoState::kEnd);
  EXPECT_EQ(server->write(std::string_view("pong"))->bytes, 4U) << "the other way stays open";
  EXPECT_EQ(read_text(**client, 4), "pong");
}

TEST(Network, TcpCarriesBytesBothWaysAndTellsTheEnd) {
  const auto network = make_system_network();
  const auto listener = network->listen(TcpAddress{});
  ASSERT_TRUE(listener) << listener.error().message;
  EXPECT_NE((*listener)->port(), 0);
  expect_conversation(*network, **listener, TcpAddress{"127.0.0.1", (*listener)->port()});
}

TEST(Network, UnixSocketsCarryBytesAndKnowTheirPeer) {
  const TemporaryFolder folder;
  const auto network = make_system_network();
  const UnixAddress address{folder.path() + "/socket", 0600};
  const auto listener = network->listen(address);
  ASSERT_TRUE(listener) << listener.error().message;
  struct stat status {};
  ASSERT_EQ(::stat(address.path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  expect_conversation(*network, **listener, address);
  const auto client = network->connect(address);
  const ConnectionPtr server = accept_one(**listener);
  EXPECT_EQ(server->peer_user(), ::getuid());
}

TEST(Network, AFullPeerSaysWouldBlockAndAGonePeerEnds) {
  const auto network = make_system_network();
  const auto listener = network->listen(TcpAddress{});
  auto client = network->connect(TcpAddress{"127.0.0.1", (*listener)->port()});
  const ConnectionPtr server = accept_one(**listener);
  const std::string block(1 << 16, 'x');
  Result<IoCount> put = server->write(block);
  while (put && put->state == IoState::kOk) put = server->write(block);
  ASSERT_TRUE(put);
  EXPECT_EQ(put->state, IoState::kWouldBlock);
  client->reset();  // closes with bytes unread: the kernel resets the connection
  do {
    put = server->write(block);
  } while (put && put->state != IoState::kEnd);
  EXPECT_TRUE(put) << "a gone peer is no error, and no signal";
}

TEST(Network, ReplacesADeadSocketFileButNeverALiveOneOrAFile) {
  const TemporaryFolder folder;
  const auto network = make_system_network();
  const UnixAddress address{folder.path() + "/socket"};
  {
    const auto first = network->listen(address);
    ASSERT_TRUE(first);
    const auto second = network->listen(address);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().os_error, EADDRINUSE);
    // What a crash leaves: the name outlives the listener.
    ASSERT_EQ(::link(address.path.c_str(), (address.path + ".left").c_str()), 0);
  }
  EXPECT_NE(::access(address.path.c_str(), F_OK), 0) << "a listener removes its file";
  EXPECT_TRUE(network->listen(UnixAddress{address.path + ".left"}));
  std::ofstream(folder.path() + "/file") << "precious";
  EXPECT_FALSE(network->listen(UnixAddress{folder.path() + "/file"}));
  std::string text;
  std::ifstream(folder.path() + "/file") >> text;
  EXPECT_EQ(text, "precious");
}

TEST(Network, RefusesAddressesThatAreNone) {
  const auto network = make_system_network();
  EXPECT_FALSE(network->listen(TcpAddress{"localhost", 0})) << "no name is looked up";
  EXPECT_FALSE(network->listen(UnixAddress{std::string(108, 'x')}));
  EXPECT_FALSE(network->listen(UnixAddress{""}));
  const TemporaryFolder folder;
  const auto nobody = network->connect(UnixAddress{folder.path() + "/nobody"});
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace grace::core
