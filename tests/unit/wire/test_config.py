from twisted.trial.unittest import SynchronousTestCase

from txcrush.model.config import Config, Options, ProviderConfig, SelectedModel, Token, TuiOptions
from txcrush.wire.config import as_object, decode_config, plain, read_object, redacted, write_object


class ReadTests(SynchronousTestCase):
    def test_only_plain_json_objects_are_read(self) -> None:
        bad = (
            b"",
            b"[]",
            b"null",
            b"{,}",
            b'{"a": 1,}',
            b'// x\n{"a": 1}',
            b'{"a": NaN}',
            b'{"a": 1e999}',
            b'{"a": "\xff"}',
            b'{"a": "\\ud800"}',
            b'{"a": 99999999999999999999}',
            b'{"a":' * 70 + b"1" + b"}" * 70,
            b"[" * 100_000,
            b'\xef\xbb\xbf{"a": 1}',
        )
        for raw in bad:
            self.assertRaises(ValueError, read_object, raw)

    def test_what_was_written_reads_the_same_in_the_same_order(self) -> None:
        value: dict[str, object] = {"z": [1, 1.5, None, True], "a": {"text": "ü <&>"}}
        text = write_object(value)
        self.assertEqual(read_object(text), value)
        self.assertEqual(list(read_object(text)), ["z", "a"])
        self.assertTrue(text.endswith(b"}\n"))

    def test_what_json_cannot_hold_is_refused(self) -> None:
        self.assertRaises(ValueError, write_object, {"a": "\ud800"})
        self.assertRaises(ValueError, write_object, {"a": object()})


class DecodeTests(SynchronousTestCase):
    def test_an_empty_object_has_providers_options_and_tui(self) -> None:
        config = decode_config({})
        self.assertEqual(config, Config(providers={}, options=Options(tui=TuiOptions())))
        self.assertEqual(as_object(config), {"providers": {}, "options": {"tui": {}}})

    def test_numbers_of_a_model_that_a_file_leaves_out_are_zero(self) -> None:
        config = decode_config({"providers": {"p": {"models": [{"id": "m", "cost_per_1m_in": 1}]}}})
        self.assertEqual(
            as_object(config)["providers"],
            {
                "p": {
                    "models": [
                        {
                            "id": "m",
                            "name": "",
                            "cost_per_1m_in": 1,
                            "cost_per_1m_out": 0,
                            "cost_per_1m_in_cached": 0,
                            "cost_per_1m_out_cached": 0,
                            "context_window": 0,
                            "default_max_tokens": 0,
                            "can_reason": False,
                            "supports_attachments": False,
                        }
                    ]
                }
            },
        )

    def test_half_a_choice_and_a_bare_token_are_read(self) -> None:
        config = decode_config(
            {
                "models": {"large": {"model": "m"}},
                "recent_models": {"large": [{"model": "m"}]},
                "providers": {"p": {"oauth": {"access_token": "t"}}},
            }
        )
        self.assertEqual(config.models["large"], SelectedModel("m", ""))
        self.assertEqual(config.recent_models["large"], (SelectedModel("m", ""),))
        self.assertEqual(config.providers["p"].oauth, Token(access_token="t", expires_in=0, expires_at=0))

    def test_unknown_keys_are_ignored_and_null_is_absent(self) -> None:
        config = decode_config({"x": 1, "options": {"y": 2, "debug": None, "tui": None}, "providers": None})
        self.assertEqual(config, decode_config({}))

    def test_free_form_values_are_kept_as_written(self) -> None:
        body = {"stop": None, "n": 1.0}
        config = decode_config({"providers": {"p": {"extra_body": body}}, "mcp": {"m": {"x": None}}})
        self.assertEqual(config.providers["p"].extra_body, body)
        self.assertEqual(config.mcp, {"m": {"x": None}})

    def test_one_point_zero_is_an_integer(self) -> None:
        self.assertEqual(decode_config({"models": {"large": {"max_tokens": 5.0}}}).models["large"].max_tokens, 5)

    def test_a_wrong_type_is_named_without_its_value(self) -> None:
        with self.assertRaises(ValueError) as caught:
            decode_config({"options": {"debug": "s3cret"}})
        self.assertIn("$.options.debug", str(caught.exception))
        self.assertNotIn("s3cret", str(caught.exception))

    def test_decoding_does_not_change_its_source(self) -> None:
        source: dict[str, object] = {"providers": {"p": {"models": [{"id": "m"}]}}, "models": {"large": {}}}
        decode_config(source)
        self.assertEqual(source, {"providers": {"p": {"models": [{"id": "m"}]}}, "models": {"large": {}}})

    def test_the_object_of_a_configuration_decodes_to_the_same(self) -> None:
        config = decode_config(
            {
                "$schema": "s",
                "models": {"large": {"model": "m", "provider": "p", "temperature": 0}},
                "providers": {"p": {"models": [{"id": "m", "reasoning_levels": ["low"]}], "discover_models": False}},
                "options": {"auto_lsp": False, "tui": {"diff_mode": "split"}},
                "permissions": {"allowed_tools": ["view"]},
            }
        )
        self.assertEqual(decode_config(as_object(config)), config)

    def test_structs_become_what_a_file_holds(self) -> None:
        self.assertEqual(plain(SelectedModel("m", "p")), {"model": "m", "provider": "p"})
        self.assertEqual(plain((SelectedModel("m", "p"),)), [{"model": "m", "provider": "p"}])


class RedactedTests(SynchronousTestCase):
    def test_no_secret_is_left(self) -> None:
        provider = ProviderConfig(
            base_url="https://user:s3cret@host/v1",
            api_key="s3cret",
            oauth=Token(
                access_token="s3cret", refresh_token="s3cret", expires_in=1, expires_at=2, client={"s": "s3cret"}
            ),
            extra_headers={"Authorization": "s3cret"},
        )
        server = {"env": {"A": "s3cret"}, "headers": {"B": "s3cret"}, "oauth_token": {"t": "s3cret"}, "url": "u"}
        config = Config(
            providers={"p": provider},
            options=Options(tui=TuiOptions()),
            mcp={"m": server},
            lsp={"l": {"env": {"C": "s3cret"}}},
            env={"D": "s3cret"},
        )
        shown = as_object(redacted(config))
        self.assertNotIn("s3cret", str(shown))
        for kept in ("Authorization", "host/v1", "'A'", "'B'", "'C'", "'D'", "'u'", "expires_at"):
            self.assertIn(kept, str(shown))

    def test_an_absent_key_stays_absent(self) -> None:
        config = Config(providers={"p": ProviderConfig()}, options=Options(tui=TuiOptions()))
        self.assertEqual(redacted(config), config)
