import ldap
import ldap.dn
from django.http import JsonResponse
from django.views.decorators.http import require_POST


@require_POST
def groups(request):
    user = request.POST["user"]
    base = "cn=%s,ou=users,dc=school,dc=edu" % ldap.dn.escape_dn_chars(user)
    directory = ldap.initialize("ldaps://ldap.school.edu")
    found = directory.search_s(base, ldap.SCOPE_BASE, "(objectClass=person)", ["memberOf"])
    memberships = [attributes.get("memberOf", []) for _, attributes in found]
    return JsonResponse({"groups": len(memberships)})
