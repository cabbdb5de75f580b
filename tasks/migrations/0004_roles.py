from django.contrib.auth.management import create_permissions
from django.db import migrations

# From here on staff may change them in the console.
ROLES = {
    "Viewer": ["view_task"],
    "Operator": ["view_task", "view_task_content", "operate_task", "view_receipt"],
    "Safety officer": ["view_task", "view_receipt", "dry_run"],
    "Admin": [
        "view_task",
        "view_task_content",
        "operate_task",
        "view_receipt",
        "dry_run",
        "view_user",
        "add_user",
        "change_user",
        "delete_user",
        "view_group",
        "add_group",
        "change_group",
        "delete_group",
    ],
}
UNUSED = [
    f"{verb}_{model}"
    for model in ("task", "taskresult", "event", "receipt")
    for verb in ("add", "change", "delete")
] + ["view_taskresult", "view_event"]


def make_roles(apps, schema_editor):
    for label in ("auth", "safety", "tasks"):
        # Django makes permissions only after the last migration.
        app = apps.get_app_config(label)
        app.models_module = True
        create_permissions(app, apps=apps, verbosity=0)
        app.models_module = None
    permissions = apps.get_model("auth", "Permission").objects
    permissions.filter(
        content_type__app_label__in=["tasks", "safety"], codename__in=UNUSED
    ).delete()
    for name, codenames in ROLES.items():
        group, _ = apps.get_model("auth", "Group").objects.get_or_create(name=name)
        group.permissions.add(*permissions.filter(codename__in=codenames))


class Migration(migrations.Migration):

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("safety", "0003_permissions"),
        ("tasks", "0003_search"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="event",
            options={"default_permissions": (), "ordering": ("id",)},
        ),
        migrations.AlterModelOptions(
            name="task",
            options={
                "default_permissions": ("view",),
                "ordering": ("-created_at",),
                "permissions": (
                    ("view_task_content", "Can view goal, context and results"),
                    ("operate_task", "Can cancel, requeue and change the priority"),
                ),
            },
        ),
        migrations.AlterModelOptions(
            name="taskresult",
            options={"default_permissions": (), "ordering": ("-created_at",)},
        ),
        migrations.RunPython(make_roles, migrations.RunPython.noop),
    ]
