"""The models that the console shows, each with its admin class."""

from django.contrib import admin
from django.contrib.auth.models import Group, User
from procrastinate.contrib.django.admin import ProcrastinateJobAdmin  # noqa: F401 - registers it
from procrastinate.contrib.django.models import ProcrastinateJob

from orchestrator_site.console.arms.arm_admin import ArmAdmin
from orchestrator_site.console.clients.client_admin import ClientAdmin
from orchestrator_site.console.execution.worker_admin import WorkerAdmin
from orchestrator_site.console.receipts import ReceiptAdmin
from orchestrator_site.console.sign_ins import SignInAdmin
from orchestrator_site.console.staff import RoleAdmin, StaffAdmin
from orchestrator_site.console.tasks.actions import ActionAdmin
from orchestrator_site.console.tasks.task_admin import TaskAdmin
from safety.models import Receipt
from tasks.models import Action, Arm, Client, SignIn, Task, Worker

# Django registers both with its own classes.
admin.site.unregister([User, Group])
# Jobs only tell workers to look; the tasks say what becomes of them.
admin.site.unregister(ProcrastinateJob)

admin.site.register(User, StaffAdmin)
admin.site.register(Group, RoleAdmin)
admin.site.register(Task, TaskAdmin)
admin.site.register(Action, ActionAdmin)
admin.site.register(Arm, ArmAdmin)
admin.site.register(Worker, WorkerAdmin)
admin.site.register(Receipt, ReceiptAdmin)
admin.site.register(Client, ClientAdmin)
admin.site.register(SignIn, SignInAdmin)
