from django.contrib.auth.management import create_permissions
from django.db import migrations


def give_to_admins(apps, schema_editor):
    # Django makes permissions only after the last migration.
    app = apps.get_app_config("tasks")
    app.models_module = True
    create_permissions(app, apps=apps, verbosity=0)
    app.models_module = None
    permissions = apps.get_model("auth", "Permission").objects.filter(
        content_type__app_label="tasks", codename__in=["manage_client", "view_signin"]
    )
    # Staff may have renamed or deleted the role.
    for role in apps.get_model("auth", "Group").objects.filter(name="Admin"):
        role.permissions.add(*permissions)


class Migration(migrations.Migration):

    dependencies = [
        ('tasks', '0012_task_client_indexes'),
    ]

    operations = [
        migrations.RunPython(give_to_admins, migrations.RunPython.noop),
    ]
