"""/help: what everybody reads, and what admins read besides."""


async def test_admins_read_where_to_begin(stage):
    admin, member = await stage.visitor("Admin"), await stage.visitor("Member")
    theirs = await admin.told(await admin.slash("general", "help"))
    everybodys = await member.told(await member.slash("general", "help"))
    assert "`/configurar`" in theirs
    assert "`/imagine" in everybodys
    assert "`/setup`" not in everybodys
    assert max(len(theirs), len(everybodys)) < 4000  # what Discord takes in one message
