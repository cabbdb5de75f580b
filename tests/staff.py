"""Members of staff, with permissions one by one or with a role."""

from django.contrib.auth.models import Group, Permission, User


def staff(*codenames: str, name: str = "") -> User:
    """Make a member of staff who has these permissions and no others."""
    user = User.objects.create_user(name or f"staff-{User.objects.count()}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


def member_of(role: str) -> User:
    user = staff()
    user.groups.add(Group.objects.get(name=role))
    return user
