"""Creates members of staff with single permissions or with a role."""

from django.contrib.auth.models import Group, Permission, User


def staff(*codenames: str, name: str = "") -> User:
    """Create a member of staff with exactly these permissions."""
    user = User.objects.create_user(name or f"staff-{User.objects.count()}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


def member_of(role: str) -> User:
    user = staff()
    user.groups.add(Group.objects.get(name=role))
    return user
