from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('safety', '0007_receipt_subjects'),
    ]

    operations = [
        # While this waits for the table, inserts queue up behind it, so it gives up soon. It can be
        # run again.
        migrations.RunSQL("SET LOCAL lock_timeout = '2s'", migrations.RunSQL.noop),
        # Nullable and without a default, so that no row is rewritten.
        migrations.AddField(
            model_name='receipt',
            name='client_id',
            field=models.UUIDField(null=True),
        ),
    ]
