import sessions.scopes
from django.db import migrations, models


def widen_development_key(apps, schema_editor):
    """Every other key keeps what it could do: talk to its agents, which is the default."""
    keys = apps.get_model('voice_sessions', 'ApiKey').objects.filter(name='development key')
    keys.update(scopes=['realtime', 'text', 'sessions', 'agents', 'turns'])


class Migration(migrations.Migration):

    dependencies = [
        ('voice_sessions', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='apikey',
            name='scopes',
            field=models.JSONField(blank=True, default=sessions.scopes.default_scopes, help_text='What it may be used for.'),
        ),
        migrations.RunPython(widen_development_key, migrations.RunPython.noop),
    ]
