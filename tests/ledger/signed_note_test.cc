#include "grace/ledger/signed_note.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "grace/ledger/sha256.h"

namespace grace::ledger {
namespace {

// The example of the Go package golang.org/x/mod/sumdb/note, and the second key of its tests.
const std::string kPeterSigner =
    "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const std::string kPeterVerifier =
    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const std::string kEnochVerifier =
    "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
const std::string kText =
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n";
const std::string kPeterLine =
    "— PeterNeumann "
    "x08go/ZJkuBS9UG/"
    "SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const std::string kEnochLine =
    "— EnochRoot "
    "rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/"
    "5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";
const std::string kNote = kText + "\n" + kPeterLine;

NoteSigner peter() {
  return std::move(NoteSigner::parse(kPeterSigner).value());
}
std::vector<NoteVerifier> verifiers_of(const std::vector<std::string>& texts) {
  std::vector<NoteVerifier> verifiers;
  for (const auto& text : texts) verifiers.push_back(NoteVerifier::parse(text).value());
  return verifiers;
}
Result<OpenedNote> open_as_peter(std::string_view note) {
  return open_note(note, verifiers_of({kPeterVerifier}));
}

std::vector<std::uint8_t> bytes_of(std::string_view hex) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t at = 0; at + 1 < hex.size(); at += 2) {
    bytes.push_back(
        static_cast<std::uint8_t>(std::stoi(std::string(hex.substr(at, 2)), nullptr, 16)));
  }
  return bytes;
}

TEST(Ed25519, MatchesTheVectorsOfRfc8032) {
  struct Vector {
    std::string_view seed, public_key, message, signature;
  };
  // Section 7.1, tests 1 to 3.
  const Vector vectors[] = {
      {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
       "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
       "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701"
       "cf9b46bd25bf5f0595bbe24655141438e7a100b"},
      {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
       "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
       "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d"
       "0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
      {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
       "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
       "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f7609"
       "84dc6594a7c15e9716ed28dc027beceea1ec40a"},
  };
  for (const Vector& vector : vectors) {
    const auto seed = bytes_of(vector.seed);
    const auto signer = NoteSigner::from_seed("rfc", std::span<const std::uint8_t, 32>(seed));
    ASSERT_TRUE(signer);
    EXPECT_EQ(to_hex(signer->verifier().public_key()), vector.public_key);
    const auto message = bytes_of(vector.message);
    const std::string_view text(reinterpret_cast<const char*>(message.data()), message.size());
    EXPECT_EQ(to_hex(signer->signature_of(text)), vector.signature);
    auto signature = bytes_of(vector.signature);
    EXPECT_TRUE(signer->verifier().verify(text, signature));
    EXPECT_FALSE(signer->verifier().verify("other", signature));
    for (std::size_t bit = 0; bit < 512; ++bit) {
      signature[bit / 8] = static_cast<std::uint8_t>(signature[bit / 8] ^ (1U << (bit % 8)));
      ASSERT_FALSE(signer->verifier().verify(text, signature)) << bit;
      signature[bit / 8] = static_cast<std::uint8_t>(signature[bit / 8] ^ (1U << (bit % 8)));
    }
    signature.pop_back();
    EXPECT_FALSE(signer->verifier().verify(text, signature));
    EXPECT_FALSE(signer->verifier().verify(text, {}));
  }
}

TEST(NoteVerifier, ReadsTheKeyOfTheGoPackage) {
  const auto verifier = NoteVerifier::parse(kPeterVerifier);
  ASSERT_TRUE(verifier);
  EXPECT_EQ(verifier->name(), "PeterNeumann");
  EXPECT_EQ(verifier->key_id(), 0xc74f20a3U);
  EXPECT_EQ(verifier->to_text(), kPeterVerifier);
  EXPECT_EQ(*verifier, peter().verifier());
  // Go takes either case.
  EXPECT_TRUE(
      NoteVerifier::parse("PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"));
}

// Every part of a key, and every key with one character changed, is refused, as in the tests of Go.
template <typename Key>
void expect_no_mangled_key(const std::string& text) {
  for (std::size_t begin = 0; begin <= text.size(); ++begin) {
    for (std::size_t end = begin; end <= text.size(); ++end) {
      if (begin == 0 && end == text.size()) continue;
      ASSERT_FALSE(Key::parse(text.substr(begin, end - begin))) << begin << " " << end;
    }
    if (begin == text.size()) continue;
    for (const char replacement : {static_cast<char>(text[begin] + 1), '\n', '\0', '=', '\xff'}) {
      if (replacement == text[begin]) continue;
      std::string mangled = text;
      mangled[begin] = replacement;
      ASSERT_FALSE(Key::parse(mangled)) << mangled;
    }
  }
  for (const char* more : {" ", "\n", "A", "AAAA", "=", "+", "===="}) {
    EXPECT_FALSE(Key::parse(text + more));
    EXPECT_FALSE(Key::parse(more + text));
  }
}

TEST(NoteVerifier, RefusesManglings) {
  expect_no_mangled_key<NoteVerifier>(kPeterVerifier);
  // A key of wrong length, an algorithm that nobody knows: with the right ids for them.
  EXPECT_FALSE(NoteVerifier::parse(
      "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY=="));
  const auto unknown =
      NoteVerifier::parse("PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::kInvalidArgument);
  EXPECT_FALSE(NoteVerifier::parse(kPeterSigner));
}

TEST(NoteSigner, RefusesManglings) {
  expect_no_mangled_key<NoteSigner>(kPeterSigner);
  EXPECT_FALSE(NoteSigner::parse(kPeterVerifier));
}

TEST(NoteSigner, NeverPutsTheSecretIntoAMessage) {
  const std::string secret = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
  for (const std::string& text :
       {"PRIVATE+KEY+PeterNeumann+c74f20a4+" + secret,
        "PRIVATE+KEY+PeterNeumann+zzzzzzzz+" + secret,
        "PRIVATE+KEY+Peter Neumann+c74f20a3+" + secret, "PRIVATE+KEY+" + secret, secret,
        kPeterSigner + "A", "PRIVATE+KEY+x+c74f20a3+B" + secret.substr(1)}) {
    for (const auto& message :
         {NoteSigner::parse(text).error().message, NoteVerifier::parse(text).error().message}) {
      EXPECT_FALSE(message.empty());
      for (std::size_t at = 0; at + 6 <= secret.size(); ++at) {
        EXPECT_EQ(message.find(secret.substr(at, 6)), std::string::npos) << message;
      }
    }
  }
}

TEST(NoteSigner, WritesTheNoteOfTheGoPackage) {
  const NoteSigner signer = peter();
  EXPECT_EQ(signer.to_text(), kPeterSigner);
  EXPECT_EQ(signer.verifier().to_text(), kPeterVerifier);
  EXPECT_EQ(signer.sign(kText).value(), kNote);
}

TEST(NoteSigner, GeneratesKeysThatSurviveTheirText) {
  const auto first = NoteSigner::generate("grace.example/log/1");
  const auto second = NoteSigner::generate("grace.example/log/1");
  ASSERT_TRUE(first && second);
  EXPECT_NE(first->verifier(), second->verifier());
  const auto again = NoteSigner::parse(first->to_text());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->verifier(), first->verifier());
  EXPECT_EQ(NoteVerifier::parse(first->verifier().to_text()).value(), first->verifier());
  const auto note = again->sign("text\n");
  const std::vector<NoteVerifier> verifiers = {first->verifier()};
  EXPECT_TRUE(open_note(*note, verifiers));
}

TEST(NoteSigner, RefusesBadNames) {
  for (const std::string& name :
       {std::string(), std::string("two words"), std::string("a+b"), std::string("tab\there"),
        std::string("line\n"), std::string("no-break\u00a0space"), std::string("wide\u3000space"),
        std::string("em\u2003space"), std::string("next\u0085line"), std::string("bad\xff"),
        std::string("bell\x07"), std::string("zero\0", 5), std::string("cut\xe2\x80")}) {
    const auto signer = NoteSigner::generate(name);
    ASSERT_FALSE(signer) << name;
    EXPECT_EQ(signer.error().code, ErrorCode::kInvalidArgument);
    EXPECT_FALSE(NoteVerifier::from_public_key(name, {}));
  }
  EXPECT_TRUE(NoteSigner::generate("ключ/日本/\U0001f511"));
}

TEST(NoteSigner, RefusesTextsThatNoNoteMayHold) {
  const NoteSigner signer = peter();
  for (const std::string& text :
       {std::string(), std::string("abc"), std::string("\xff\n"), std::string("tab\t\n"),
        std::string("\r\n"), std::string("\0\n", 2), std::string("\xed\xa0\x80\n"),
        std::string("\xc0\x80\n"), std::string("\xc1\x81\n"), std::string("\xe0\x9f\xbf\n"),
        std::string("\xf0\x8f\xbf\xbf\n"), std::string("\xf4\x90\x80\x80\n"),
        std::string("\xf8\x88\x80\x80\x80\n"), std::string("\x80\n"), std::string("\xe2\x80\n"),
        std::string(kNoteBytesMax, '\n')}) {
    const auto note = signer.sign(text);
    ASSERT_FALSE(note);
    EXPECT_EQ(note.error().code, ErrorCode::kInvalidArgument);
  }
  // The largest that fits, and one byte more.
  const std::size_t around = kNote.size() - kText.size();
  const std::string largest = std::string(kNoteBytesMax - around - 1, 'x') + "\n";
  const auto note = signer.sign(largest);
  ASSERT_TRUE(note);
  EXPECT_EQ(note->size(), kNoteBytesMax);
  EXPECT_EQ(open_as_peter(*note)->text, largest);
  EXPECT_FALSE(signer.sign("x" + largest));
  EXPECT_EQ(open_as_peter("x" + *note).error().code, ErrorCode::kCorrupt);
}

TEST(NoteSigner, SignsTextsWithEmptyLinesAndOldSignatures) {
  const NoteSigner signer = peter();
  for (const std::string& text : {std::string("\n"), std::string("\n\n\n"), std::string("a\n\n"),
                                  kNote, std::string("a\n\nb\n"), std::string("\u2014 x y\n")}) {
    const auto note = signer.sign(text);
    ASSERT_TRUE(note);
    EXPECT_EQ(open_as_peter(*note)->text, text);
  }
}

TEST(OpenNote, TellsVerifiedFromUnverified) {
  const NoteSignature peter_signature{"PeterNeumann", 0xc74f20a3};
  const NoteSignature enoch_signature{"EnochRoot", 0xaf0cfe78};
  const std::string both = kNote + kEnochLine;
  const auto one = open_as_peter(both);
  ASSERT_TRUE(one);
  EXPECT_EQ(one->text, kText);
  EXPECT_EQ(one->signatures, std::vector{peter_signature});
  EXPECT_EQ(one->unverified_count, 1U);
  const auto two = open_note(both, verifiers_of({kEnochVerifier, kPeterVerifier}));
  ASSERT_TRUE(two);
  EXPECT_EQ(two->signatures, (std::vector{peter_signature, enoch_signature}));
  EXPECT_EQ(two->unverified_count, 0U);
  const auto none = open_note(both, {});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::kNotFound);
}

TEST(OpenNote, DropsDuplicatesAsTheGoPackageDoes) {
  const std::string other = kEnochLine.substr(0, 60) + "ABCD" + kEnochLine.substr(60);
  const auto opened = open_as_peter(kNote + kPeterLine + kEnochLine + kEnochLine + other);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->signatures.size(), 1U);
  EXPECT_EQ(opened->unverified_count, 2U);
  // A second line by a known key is not looked at; a first one is.
  const std::string wrong = kPeterLine.substr(0, 60) + "ABCD" + kPeterLine.substr(60);
  EXPECT_TRUE(open_as_peter(kNote + wrong));
  EXPECT_FALSE(open_as_peter(kText + "\n" + wrong + kPeterLine));
}

TEST(OpenNote, RefusesAmbiguousKeysThatAreUsed) {
  const auto verifiers = verifiers_of({kEnochVerifier, kPeterVerifier, kEnochVerifier});
  EXPECT_TRUE(open_note(kNote, verifiers));
  const auto opened = open_note(kText + "\n" + kEnochLine, verifiers);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(opened.error().message, "ambiguous key EnochRoot+af0cfe78");
}

TEST(OpenNote, RefusesWrongSignatures) {
  const auto lengthened =
      open_as_peter(kText + "\n" + kPeterLine.substr(0, 60) + "ABCD" + kPeterLine.substr(60));
  ASSERT_FALSE(lengthened);
  EXPECT_EQ(lengthened.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(lengthened.error().message, "invalid signature for key PeterNeumann+c74f20a3");
  EXPECT_FALSE(open_as_peter("x" + kNote));
  EXPECT_FALSE(open_as_peter("\n" + kNote));
}

TEST(OpenNote, RefusesEachChangedByte) {
  for (std::size_t at = 0; at < kNote.size(); ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      std::string changed = kNote;
      changed[at] = static_cast<char>(static_cast<unsigned char>(changed[at]) ^ (1U << bit));
      ASSERT_FALSE(open_as_peter(changed)) << at << " " << bit;
    }
    ASSERT_FALSE(open_as_peter(kNote.substr(0, at))) << at;
    std::string shorter = kNote;
    shorter.erase(at, 1);
    ASSERT_FALSE(open_as_peter(shorter)) << at;
  }
}

TEST(OpenNote, RefusesMalformedNotes) {
  const std::string base64 = kPeterLine.substr(std::string_view("— PeterNeumann ").size());
  std::string many = kText + "\n";
  for (int count = 0; count < 101; ++count) many += kPeterLine;
  const std::string notes[] = {
      "",
      "\n",
      "\n\n",
      kText,
      kText + "\n",
      kText + "\n\n",
      kText + kPeterLine,
      kText + "\n" + kPeterLine.substr(0, kPeterLine.size() - 1),
      "\x01" + kText + "\n" + kPeterLine,
      "\xff" + kText + "\n" + kPeterLine,
      std::string("\0", 1) + kText + "\n" + kPeterLine,
      kText + "\r\n" + kPeterLine,
      kText + "\n" + "— Bad Name " + base64,
      kText + "\n" + "— Bad+Name " + base64,
      kText + "\n" + "—  " + base64,
      kText + "\n" + "— PeterNeumann\u00a0x " + base64,
      kText + "\n" + "-- PeterNeumann " + base64,
      kText + "\n" + "—PeterNeumann " + base64,
      kText + "\n" + " " + kPeterLine,
      kText + "\n" + "— PeterNeumann\n",
      kText + "\n" + "— PeterNeumann \n",
      kText + "\n" + "— PeterNeumann AAAA\n",
      kText + "\n" + "— PeterNeumann AAAAAA==\n",  // an id and nothing behind it
      kText + "\n" + "— PeterNeumann  " + base64,
      kText + "\n" + "— PeterNeumann x08go\n",
      kText + "\n" + "— PeterNeumann =AAA=AAA\n",
      kNote + "Unexpected line.\n",
      kNote + "\n",
      kNote + "\n" + "\n",
      many,
  };
  for (const std::string& note : notes) {
    const auto opened = open_as_peter(note);
    ASSERT_FALSE(opened) << note;
    EXPECT_EQ(opened.error().code, ErrorCode::kCorrupt) << note;
    EXPECT_EQ(opened.error().message.find('\n'), std::string::npos);
  }
}

TEST(AddSignature, KeepsTheOthersAndReplacesItsOwn) {
  const NoteSigner signer = peter();
  EXPECT_EQ(add_signature(kText + "\n" + kEnochLine, signer).value(),
            kText + "\n" + kEnochLine + kPeterLine);
  EXPECT_EQ(add_signature(kNote + kEnochLine + kEnochLine, signer).value(),
            kText + "\n" + kEnochLine + kPeterLine);
  EXPECT_EQ(add_signature(kNote, signer).value(), kNote);
  EXPECT_EQ(add_signature(kText, signer).error().code, ErrorCode::kCorrupt);
  const auto witness = NoteSigner::generate("witness.example");
  const auto note = add_signature(kNote, *witness);
  ASSERT_TRUE(note);
  const std::vector<NoteVerifier> both = {witness->verifier(), signer.verifier()};
  EXPECT_EQ(open_note(*note, both)->signatures.size(), 2U);
}

TEST(AddSignature, KeepsWithinTheLimits) {
  std::string note = kNote;
  std::vector<NoteVerifier> verifiers = verifiers_of({kPeterVerifier});
  for (std::size_t count = 1; count < kNoteSignaturesMax; ++count) {
    const auto signer = NoteSigner::generate("witness/" + std::to_string(count));
    verifiers.push_back(signer->verifier());
    const auto more = add_signature(note, *signer);
    ASSERT_TRUE(more);
    note = *more;
  }
  EXPECT_EQ(open_note(note, verifiers)->signatures.size(), kNoteSignaturesMax);
  const auto one_more = NoteSigner::generate("one-too-many");
  EXPECT_EQ(add_signature(note, *one_more).error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(add_signature(note, peter()));

  const std::size_t around = kNote.size() - kText.size();
  const auto full = peter().sign(std::string(kNoteBytesMax - around - 1, 'x') + "\n");
  EXPECT_EQ(add_signature(*full, *one_more).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace grace::ledger
