"""An add-on in the whole product: bot and worker find it, its sampler draws, and the panel shows the real worker."""

import os
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[1] / "gpu_worker" / "addon_example"
CHECKOUT = Path(__file__).resolve().parents[2]


async def test_an_addons_sampler_draws_and_the_worker_is_seen_on_a_panel(own_product):
    path = os.pathsep.join((str(CHECKOUT), str(EXAMPLE)))
    product = own_product(PYTHONPATH=path).start()
    async with product.person("Admin") as admin:
        answer = await admin.slash(
            "general", "imagine", {"prompt": "a red circle --sampler midpoint --steps 3", "count": 1}
        )
        card = await admin.wait_for_message(
            "general",
            lambda m: m.id == answer.message_id and any(".png" in url for url in m.media) and "Midpoint" in m.text,
            120,
        )
        assert product.rows("SELECT spec ->> '$.sampler' AS sampler FROM jobs")[0]["sampler"] == "Midpoint"
        listed = await admin.slash("general", "addons")
        shown = await admin.wait_for_message("general", lambda m: m.id == listed.message_id)
        assert "sampler Midpoint" in shown.text
        assert "upscaler Mosaic" in shown.text
        panel = await admin.slash("general", "panel")
        seen = await admin.wait_for_message("general", lambda m: m.id == panel.message_id and "w1" in m.text)
        assert "cpu" in seen.text.lower()
        assert card.media


def test_what_the_operator_leaves_alone_is_not_there(own_product):
    path = os.pathsep.join((str(CHECKOUT), str(EXAMPLE)))
    product = own_product(PYTHONPATH=path, PINCEL_ADDONS_OFF="example, missing", PINCEL_WORKERS="0").start()
    assert "add-on" not in product.output
