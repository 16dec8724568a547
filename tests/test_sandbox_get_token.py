"""The sandbox's getToken is as strict as the vendor's page: HTTP 200, and the truth in the body's code."""

import json
from urllib.parse import quote, urlencode

import pytest
from sandbox_kit import FORM, GET_TOKEN, form, sandbox

NAMES = ["Coco & Chloé", "100% + more", "a=b&dToken=stolen", "Ünïcödé 🎉", 'quote " and \\ slash', "名前", "x" * 512]


async def test_a_token_has_the_documented_shape():
    """Success carries result, message, code 200, and the model's id beside a token of 32 hexadecimal characters."""
    async with sandbox() as vendor:
        answer = await vendor.ask_token(form("m1", "Coco"))
        token = answer["data"].pop("mToken")
        assert {"result": True, "message": "SuccessFully", "code": 200, "data": {"mId": "m1"}} == answer
        assert 32 == len(token)
        assert int(token, 16) >= 0


async def test_the_same_model_has_the_same_token():
    """Asking again changes nothing but the name; another model has another token."""
    async with sandbox() as vendor:
        first = await vendor.token("m1", "Coco")
        assert first == await vendor.token("m1", "Coco renamed")
        assert first != await vendor.token("m2", "Coco")


async def test_a_restarted_sandbox_knows_its_tokens():
    """A token outlives the sandbox that gave it out, so that a relay's database stays good."""
    async with sandbox() as before, sandbox() as after:
        token = await before.token("m1")
        assert 200 == (await after.get(f"/sandbox/models/{token}")).status_code
        assert 404 == (await after.get(f"/sandbox/models/{token[::-1]}")).status_code


@pytest.mark.parametrize("name", NAMES)
async def test_a_well_encoded_name_arrives_whole(name):
    """Ampersands, pluses, percent signs and all of Unicode come through the form as they were."""
    async with sandbox() as vendor:
        token = await vendor.token("m1", name)
        assert name == (await vendor.get(f"/sandbox/models/{token}")).json()["model"]


async def test_the_vendors_own_sample_is_taken():
    """The document's Java sample leaves braces and quotes unencoded, and works."""
    async with sandbox() as vendor:
        assert 200 == (await vendor.ask_token('dToken=xxx&mInfo={"mId":"xxx","mName":"xxx"}'))["code"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", 401),
        (urlencode({"mInfo": '{"mId":"x","mName":"x"}'}), 401),
        (form(developer_token=""), 401),
        (form(developer_token="wrong"), 401),
        (form(developer_token="größe"), 401),
        ("dToken=secret", 402),
        ("dToken=secret&mInfo=coco", 402),
        ("dToken=secret&mInfo=[]", 402),
        ("dToken=secret&mInfo={'mId':'x','mName':'x'}", 402),
        ('dToken=secret&mInfo={"mId":"x","mName":"Coco & Chloe"}', 402),
        (form("", "x", "secret"), 402),
        (form("x", " ", "secret"), 402),
        (form(7, "x", "secret"), 402),
        (form(None, "x", "secret"), 402),
        (form("x" * 513, "x", "secret"), 402),
        ('dToken=secret&mInfo={"mId":"x"}', 402),
        ("dToken=secret&mInfo=" + quote('{"mId":"x","mName":"\\ud83d"}'), 402),
        ("dToken=secret&mInfo=" + quote("[" * 5000), 402),
        ('dToken=secret&mInfo={"mId":"x","mName":"100%"}', 505),
        (b"dToken=secret&mInfo=%ff", 505),
        ("dToken=secret&dToken=secret&mInfo={}", 505),
        ("dToken=secret&mInfo=" + "x" * 70_000, 505),
    ],
)
async def test_a_bad_request_gets_its_code(body, code):
    """401 for the developer, 402 for the model's information, 505 for the rest; never a token."""
    async with sandbox(developer_token="secret") as vendor:
        answer = await vendor.ask_token(body)
        assert (False, code, None) == (answer["result"], answer["code"], answer["data"])
        assert "secret" not in answer["message"]


async def test_only_a_form_is_a_form():
    """JSON, or a form in the query, is another error."""
    async with sandbox() as vendor:
        as_json = {"content-type": "application/json"}
        assert 505 == (await vendor.ask_token(json.dumps({"dToken": "d"}), as_json))["code"]
        assert 401 == (await vendor.post(f"{GET_TOKEN}?{form()}", headers=FORM)).json()["code"]
        assert 405 == (await vendor.get(f"{GET_TOKEN}?{form()}")).status_code


async def test_the_sandbox_has_room_for_so_many_models():
    """The model that was idle longest makes room; its token works on, with everything at its default."""
    async with sandbox() as vendor:
        vendor.app.state.sandbox.models_max = 2
        first = await vendor.token("m1", "First")
        await vendor.token("m2")
        await vendor.token("m3")
        assert 2 == len(vendor.app.state.sandbox._models)
        assert "model" == (await vendor.get(f"/sandbox/models/{first}")).json()["model"]
